"""World: rank of this process, number of ranks, and the GPU of a rank. Does not import torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mnist_mlp.config.schema import PACKAGE
from mnist_mlp.config.schema_trainer import TrainerConfig
from mnist_mlp.distributed.hardware import cuda_devices


@dataclass(frozen=True, kw_only=True)
class World:
    """Rank and world size, over all machines and on this one."""

    rank: int = 0
    size: int = 1
    """ranks on all machines"""
    local_rank: int = 0
    local_size: int = 1
    """ranks on this machine"""


def world() -> World:
    """The world in the environment variables of torchrun, srun or rank 0; without any, a single process.

    A rank 0 that starts the other ranks itself has no such variables: `launched` yields its world.
    """
    given = os.environ
    if "RANK" in given and "LOCAL_WORLD_SIZE" in given:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        rank, size, local_rank, local_size = (int(given[name]) for name in names)
    elif started_by_srun():
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_NUM_NODES")
        rank, size, local_rank, nodes = (int(given[name]) for name in names)
        local_size = size // nodes
    else:
        return World()
    return World(rank=rank, size=size, local_rank=local_rank, local_size=local_size)


def started_by_srun() -> bool:
    """Whether each rank is a task of srun. Not so in a batch script without srun, or if srun started torchrun."""
    return "SLURM_STEP_NUM_TASKS" in os.environ and "LOCAL_WORLD_SIZE" not in os.environ


def ranks_per_node(trainer: TrainerConfig) -> int:
    """Number of ranks on each machine: one per device."""
    if isinstance(trainer.devices, list):
        return len(trainer.devices)
    if trainer.devices == "auto":
        if trainer.strategy != "ddp" or trainer.accelerator == "cpu":
            return 1
        return max(world().local_size, 1 if started_by_srun() else len(cuda_devices()))
    return int(trainer.devices)


def ranks_of_run(trainer: TrainerConfig) -> int:
    """Number of ranks on all machines."""
    return ranks_per_node(trainer) * trainer.num_nodes


def gpu_index(trainer: TrainerConfig, here: World) -> int:
    """Index of the GPU of this rank, among those visible to it."""
    usable = cuda_devices()
    if started_by_srun() and len(usable) == 1:  # SLURM may make only one GPU visible to each task
        return usable[0]
    if isinstance(trainer.devices, list):
        return int(trainer.devices[here.local_rank])
    return usable[here.local_rank] if usable else here.local_rank  # AMD's GPUs are not counted


def python_path() -> str:
    """PYTHONPATH with which a new process, in any directory, imports this package."""
    return os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
