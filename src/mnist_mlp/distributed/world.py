"""How many processes there are, which of them this one is, and how it starts others; known without importing torch."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import PROJECT, Config, TrainerConfig
from mnist_mlp.distributed.hardware import cuda_devices, has_mps


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
    return os.pathsep.join([str(PROJECT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])


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


def require_processes(config: Config) -> None:
    """Refuse numbers of processes that cannot work.

    Raises:
        ConfigError: names the key, what is here, and what to do.
    """
    trainer, devices = config.trainer, config.trainer.devices
    listed = isinstance(devices, list) and devices and all(type(number) is int for number in devices)
    counted = devices == "auto" or (type(devices) is int and devices > 0)
    if not (listed or counted):
        raise ConfigError(f"trainer.devices: expected a number from 1, auto, or a list as [0,1], got {devices!r}")
    here, started = per_node(trainer), world().size
    asked = here * trainer.num_nodes
    if started > 1 and asked != started:
        raise ConfigError(
            f"trainer.devices: {started} processes were started together, but {here} devices on each of "
            f"{trainer.num_nodes} nodes (trainer.num_nodes) make {asked}"
        )
    if asked == 1:
        return
    if trainer.num_nodes > started:
        raise ConfigError("trainer.num_nodes: several machines need torchrun or srun to start the processes on each")
    if isinstance(config, TuneConfig):
        raise ConfigError("trainer.devices: a search trains each network in one process; start tune.py several times")
    gpus = cuda_devices()
    if trainer.accelerator == "mps" or (trainer.accelerator in ("auto", "gpu") and has_mps()):
        raise ConfigError(f"trainer.devices: an Apple GPU is one device, got {devices}; use 1, or accelerator=cpu")
    if trainer.accelerator != "cpu" and 0 < gpus < here:
        raise ConfigError(f"trainer.devices: expected at most the {gpus} GPUs of this machine, got {devices}")
    for name, images in (("data.batch_size", config.data.batch_size), ("data.val_size", config.data.val_size)):
        if images < asked:
            raise ConfigError(f"{name}: expected an image for each of the {asked} processes, got {images}")
