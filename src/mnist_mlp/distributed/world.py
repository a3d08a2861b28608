"""How many processes there are, which of them this one is, and how it starts others; known without importing torch."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from mnist_mlp.config.schema import PACKAGE, TrainerConfig
from mnist_mlp.distributed.hardware import cuda_devices


@dataclass(frozen=True, kw_only=True)
class World:
    rank: int = 0
    size: int = 1
    """processes in all"""
    local_rank: int = 0
    local_size: int = 1
    """processes on this machine"""


ALONE = World()


def world() -> World:
    """What torchrun, srun or the first process say of this one; a world of one where nobody says anything."""
    given = os.environ
    if "RANK" in given and "LOCAL_WORLD_SIZE" in given:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        rank, size, local_rank, local_size = (int(given[name]) for name in names)
    elif "SLURM_STEP_NUM_TASKS" in given:  # of srun; a batch script alone starts one process
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_NUM_NODES")
        rank, size, local_rank, nodes = (int(given[name]) for name in names)
        local_size = size // nodes
    else:
        return ALONE
    return World(rank=rank, size=size, local_rank=local_rank, local_size=local_size)


def python_path() -> str:
    """PYTHONPATH for a new process, in whatever directory, that imports what this one does."""
    return os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])


def start(module: str, **environment: str) -> subprocess.Popen[bytes]:
    """`python -m module`, which hears from this process by its input, and by `wait_for_end_of_parent` when it is gone.

    Ctrl-C reaches this process alone: it has a session of its own.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module],
        env={**os.environ, "PYTHONPATH": python_path(), **environment},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_end_of_parent() -> None:
    """In a process that `start` has started: return when the other one closes this one's input, or is no more."""
    os.read(sys.stdin.fileno(), 1)


def per_node(trainer: TrainerConfig) -> int:
    """Processes on each machine, one for each device that takes part."""
    if isinstance(trainer.devices, list):
        return len(trainer.devices)
    if trainer.devices == "auto":
        return max(1, cuda_devices()) if trainer.strategy == "ddp" and trainer.accelerator != "cpu" else 1
    return int(trainer.devices)
