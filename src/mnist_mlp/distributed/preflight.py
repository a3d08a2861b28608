"""Preflight: checks of a configuration against this machine, before any work and without importing torch."""

from __future__ import annotations

from importlib.util import find_spec

from mnist_mlp.config.errors import ConfigError, require
from mnist_mlp.config.schema import Config
from mnist_mlp.config.schema_trainer import TrainerConfig
from mnist_mlp.distributed.hardware import (
    cuda_devices,
    has_cuda,
    has_gpu,
    has_mps,
    has_rocm,
    uses_gpu,
    uses_mps,
    why_no_cuda,
)
from mnist_mlp.distributed.world import ranks_per_node, started_by_srun, world


def require_machine(config: Config) -> None:
    """Check that this machine can train `config`.

    Raises:
        ConfigError: it cannot; names the key, what this machine has, and what to do.
        MissingPackageError: the package of a logger is not installed.
    """
    engine = find_spec("mnist_mlp.engine")
    if config.engine == "fast" and (engine is None or engine.origin is None):  # a folder of __pycache__ may be left
        raise ConfigError(
            "engine: expected plain, as the folder mnist_mlp/engine was deleted, got fast; configs/train.yaml sets it"
        )
    require_accelerator(config.trainer)
    require_processes(config)
    require(*(name for name in ("mlflow", "wandb") if getattr(config.logger, name)))


def require_accelerator(trainer: TrainerConfig) -> None:
    """Check that this machine has the accelerator, and that it supports the precision.

    Raises:
        ConfigError: names what this machine has, and why torch cannot use its GPU.
    """
    name = trainer.accelerator
    needs = {"gpu": has_gpu, "cuda": lambda: has_cuda() or has_rocm(), "mps": has_mps}
    if name in needs and not needs[name]():
        others = {"an Apple GPU (mps)": has_mps, "an NVIDIA GPU (cuda)": has_cuda, "an AMD GPU (cuda)": has_rocm}
        found = [gpu for gpu, is_here in others.items() if is_here()]
        has = f"{' and '.join(found)} and the CPU" if found else "only a CPU"
        reason = why_no_cuda() if name != "mps" else None
        raise ConfigError(
            f"trainer.accelerator: expected an accelerator that this machine has, got {name!r}; it has {has}"
            f"{f' ({reason})' if reason else ''}: use trainer.accelerator=auto (the best one found) or cpu"
        )
    if trainer.precision == "64-true" and uses_mps(name):
        raise ConfigError(
            "trainer.precision: expected 32-true on an Apple GPU, which has no 64 bits, got '64-true'; "
            "trainer.accelerator=cpu has them"
        )


def require_processes(config: Config) -> None:
    """Check the number of ranks against the devices, the nodes and the batch size.

    Raises:
        ConfigError: names the key, what this machine has, and what to do.
    """
    trainer, devices = config.trainer, config.trainer.devices
    per_node, started = ranks_per_node(trainer), world().size
    asked = per_node * trainer.num_nodes
    if started > 1 and asked != started:
        raise ConfigError(
            f"trainer.devices: {started} processes were started together, but {per_node} devices on each of "
            f"{trainer.num_nodes} nodes (trainer.num_nodes) make {asked}"
        )
    gpus = cuda_devices()
    one_for_each_task = started_by_srun() and len(gpus) == 1  # SLURM may show each task its own GPU only
    if not uses_gpu(trainer.accelerator) and isinstance(devices, list) and sorted(devices) != list(range(per_node)):
        raise ConfigError(f"trainer.devices: expected a number of processes on the CPU, got the indices {devices}")
    if uses_mps(trainer.accelerator) and devices not in ("auto", 1, [0]):
        raise ConfigError(f"trainer.devices: an Apple GPU is one device, got {devices}; use 1, or accelerator=cpu")
    if trainer.accelerator != "cpu" and gpus and not one_for_each_task:
        if isinstance(devices, list) and not set(devices) <= set(gpus):
            raise ConfigError(f"trainer.devices: expected GPUs that torch can use here, of {gpus}, got {devices}")
        if per_node > len(gpus):
            raise ConfigError(
                f"trainer.devices: expected at most {len(gpus)} GPU{'s' * (len(gpus) != 1)}, as this machine has, "
                f"got {devices}"
            )
    if asked == 1:
        return
    if config.engine == "plain":
        raise ConfigError(f"engine: expected fast for {asked} processes, which share every minibatch, got plain")
    if trainer.num_nodes > started:
        raise ConfigError("trainer.num_nodes: several machines need torchrun or srun to start the processes on each")
    for name, images in (("data.batch_size", config.data.batch_size), ("data.val_size", config.data.val_size)):
        if images < asked:
            raise ConfigError(f"{name}: expected an image for each of the {asked} processes, got {images}")
