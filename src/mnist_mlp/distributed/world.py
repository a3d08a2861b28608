"""World: how many ranks train one network, which of them this process is, and its device; known without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mnist_mlp.config.schema import PACKAGE
from mnist_mlp.config.schema_trainer import TrainerConfig
from mnist_mlp.distributed.hardware import cuda_devices


@dataclass(frozen=True, kw_only=True)
class World:
    rank: int = 0
    size: int = 1
    """ranks on all machines"""
    local_rank: int = 0
    local_size: int = 1
    """ranks on this machine"""


ALONE = World()


def world() -> World:
    """The world that torchrun, srun or rank 0 has described in this process's environment; else a world of one."""
    given = os.environ
    if "RANK" in given and "LOCAL_WORLD_SIZE" in given:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        rank, size, local_rank, local_size = (int(given[name]) for name in names)
    elif started_by_srun():
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_NUM_NODES")
        rank, size, local_rank, nodes = (int(given[name]) for name in names)
        local_size = size // nodes
    else:
        return ALONE
    return World(rank=rank, size=size, local_rank=local_rank, local_size=local_size)


def started_by_srun() -> bool:
    """Whether each rank is a task of SLURM; a batch script alone starts one process, and srun may start torchrun."""
    return "SLURM_STEP_NUM_TASKS" in os.environ and "LOCAL_WORLD_SIZE" not in os.environ


def per_node(trainer: TrainerConfig) -> int:
    """Ranks on each machine, one for each device that takes part."""
    if isinstance(trainer.devices, list):
        return len(trainer.devices)
    if trainer.devices == "auto":
        if trainer.strategy != "ddp" or trainer.accelerator == "cpu":
            return 1
        return max(world().local_size, 1 if started_by_srun() else cuda_devices())
    return int(trainer.devices)


def gpu_of(trainer: TrainerConfig, world: World) -> int:
    """Index of the GPU that belongs to this rank, among those that it sees."""
    if started_by_srun() and cuda_devices() == 1:  # SLURM may show each task its own GPU alone
        return 0
    return int(trainer.devices[world.local_rank]) if isinstance(trainer.devices, list) else world.local_rank


def python_path() -> str:
    """PYTHONPATH for a new process, in whatever directory, that imports what this one does."""
    return os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
