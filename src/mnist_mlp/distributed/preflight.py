"""Preflight: what a training run asks of this machine, looked at before work begins and without importing torch."""

from __future__ import annotations

from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.config.errors import ConfigError, require
from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.hardware import cuda_devices, has_cuda, has_mps, has_rocm
from mnist_mlp.distributed.world import per_node, world


def require_machine(config: Config) -> None:
    """Refuse a run that this machine cannot do.

    Raises:
        ConfigError: names the key, what is here, and what to do.
        MissingPackageError: a logger is asked for whose package is not installed.
    """
    require_accelerator(config.trainer.accelerator)
    require_processes(config)
    require(*(name for name in ("mlflow", "wandb") if getattr(config.logger, name)))


def require_accelerator(name: str) -> None:
    """Refuse an accelerator that is not here.

    Raises:
        ConfigError: names what is here instead.
    """
    needs = {"gpu": has_cuda() or has_rocm() or has_mps(), "cuda": has_cuda() or has_rocm(), "mps": has_mps()}
    if not needs.get(name, True):
        here = "an Apple GPU (mps) and the CPU" if has_mps() else "only a CPU"
        raise ConfigError(
            f"trainer.accelerator: expected one that is here, got {name!r}; this machine has {here}: "
            "use trainer.accelerator=auto (the best one found) or cpu"
        )


def require_processes(config: Config) -> None:
    """Refuse numbers of processes that cannot work.

    Raises:
        ConfigError: names the key, what is here, and what to do.
    """
    trainer, devices = config.trainer, config.trainer.devices
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
