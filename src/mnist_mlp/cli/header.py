"""Header of a run or a sweep: network, data, length, device and directory, printed before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.hardware import uses_gpu
from mnist_mlp.distributed.world import ranks_of_run
from mnist_mlp.model.size import parameters, shape
from mnist_mlp.runs.directories import shown


def run_header(config: Config, directory: Path) -> str:
    """The header of a run, or of a search by tune.py."""
    from mnist_mlp.data.sources import describe  # imports NumPy, which --help and a wrong key do not need

    info = describe(config.data)
    classes, training = len(info.class_names), info.train_size - config.data.val_size
    known = parameters(config.model, info.image_shape, classes)
    network = " ".join(dict.fromkeys((config.model.name, shape(config.model, info.image_shape, classes))))
    size = "" if known is None else f", {known:,} parameters"
    lines = {
        "network": network + size,
        "data": f"{info.name}: {training:,} training, {config.data.val_size:,} validation, "
        f"{info.test_size:,} test images",
        "training": f"{_length(config)} on {_device(config)}, seed {config.seed}",
        "run directory": f"{shown(directory)}",
    }
    if isinstance(config, TuneConfig):
        lines["training"] = (
            f"{config.tune.trials} trial{'s' * (config.tune.trials != 1)} of {_length(config)} on {_device(config)}"
        )
        lines["study directory"] = lines.pop("run directory")
    elif config.resume is not None:
        lines["run directory"] += " (resumed)"
    return "\n".join(f"{name:<17}{words}" for name, words in lines.items())


def sweep_header(jobs: Sequence[Sequence[str]] | None, directory: Path) -> str:
    """The header of a sweep; `jobs` is None if the sweeper chooses them one by one."""
    count = "as many jobs as its sweeper asks for" if jobs is None else f"{len(jobs):,} job{'s' * (len(jobs) != 1)}"
    return f"sweep            {count}\nsweep directory  {shown(directory)}"


def _length(config: Config) -> str:
    trainer = config.trainer
    if trainer.fast_dev_run:
        count = int(trainer.fast_dev_run)
        return f"{count} batch{'es' * (count != 1)}, to see that it works,"
    epochs = f"{trainer.max_epochs:,} epoch{'s' * (trainer.max_epochs != 1)}"
    return epochs if trainer.max_steps == -1 else f"{epochs}, at most {trainer.max_steps:,} steps,"


def _device(config: Config) -> str:
    devices = ranks_of_run(config.trainer)
    kind = "GPU" if uses_gpu(config.trainer.accelerator) else "CPU"
    if devices == 1:
        return f"the {kind}"
    return f"{devices} GPUs" if kind == "GPU" else f"{devices} processes of the CPU"
