"""One training run, from a typed configuration to a directory with a result: `train` reads from top to bottom."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.loggers import Logger

from mnist_mlp.callbacks.checkpointing import Checkpoints, PlainCheckpointIO
from mnist_mlp.callbacks.history import History
from mnist_mlp.callbacks.interruption import Interruption
from mnist_mlp.callbacks.progress_bar import StepBar
from mnist_mlp.config.keys import by_engine, keys_where, limits_run
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.sources import load
from mnist_mlp.distributed.hardware import cpu_threads, uses_gpu
from mnist_mlp.distributed.launch import launched
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.distributed.strategy import KnownWorld, SharedMinibatches, own_device
from mnist_mlp.distributed.world import ALONE, World
from mnist_mlp.engine.run_length import Budget
from mnist_mlp.extras.calibration.calibrate import calibrate
from mnist_mlp.extras.tensorboard.dashboard import Dashboard
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.runs import directories as runs
from mnist_mlp.runs.loggers import build_loggers, log_final
from mnist_mlp.runs.result import Result, versions
from mnist_mlp.runs.resume import occupied, refuse_changes
from mnist_mlp.runs.signals import interruptible

log = logging.getLogger(__name__)


def train(config: Config, directory: Path, *, watchers: Sequence[L.Callback] = (), test: bool = True) -> Result:
    """Train, validate, and test the best network once; with `config.resume`, go on from what `directory` holds.

    Leaves checkpoints, logs and, however it ends, result.json in `directory`. A search has `watchers` that may stop
    the run, and leaves the `test` out.
    """
    require_machine(config)
    directory = Path(directory)
    before = runs.read(directory)
    if config.resume and before.status == runs.COMPLETED and _same_length(config, before.result["config"]):
        log.info("%s is complete already", directory)
        return Result.of(before)
    result = Result(directory=directory, seed=config.seed, config=asdict(config))
    if config.resume:
        result.go_on_from(before)
    with (
        occupied(directory, config),
        interruptible(),
        result.written(),
        launched(config, directory, on_loss=result.lost) as world,
    ):
        with result.timed("setup"):
            dataset = load(config.data)
            data = DigitsDataModule(dataset, config.data, config.trainer, config.seed)
            L.seed_everything(config.seed, verbose=False)
            classifier = DigitClassifier(config, data.budget)
            result.parameters = sum(parameter.numel() for parameter in classifier.network.parameters())
            # Deterministic mode would also write NaN into every new tensor first; nothing here reads before it writes.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
            torch.set_num_threads(
                config.threads or cpu_threads(data.budget.batch_size, result.parameters, world.local_size)
            )
            if not uses_gpu(config.trainer.accelerator):
                # Adam asks at every step whether there is a GPU. Lightning has torch answer by loading NVIDIA's library
                # anew; without it an answer takes a hundredth of the time.
                os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"

            start = _resume_point(config, directory) if config.resume else None
            history = History()
            checkpoints = Checkpoints(
                directory, data.budget, description(config, dataset), config.checkpoint.every_seconds
            )
            callbacks = [history, Interruption(checkpoints), *watchers, checkpoints]
            if config.dashboard.snapshots and config.logger.tensorboard:
                callbacks.append(Dashboard(config, dataset.class_names, data.budget.epochs))
            loggers = build_loggers(config, directory, start)
            trainer = build_trainer(config, data.budget, directory, callbacks, loggers, PlainCheckpointIO(), world)
        try:
            with result.timed("fit"):
                trainer.fit(classifier, datamodule=data, ckpt_path=start, weights_only=True)
        finally:
            result.take_history(history.rows, checkpoints.best_epoch)
            result.metrics |= checkpoints.best_validation  # of several in its epoch, perhaps not the last
        best = files.find(directory)
        if len(data.parts["val"][0]) > 0 and world.rank == 0:
            calibrate(best, data.parts["val"], data.parts["train"], config)
        if test and len(data.parts["test"][0]) > 0:
            with result.timed("test"):
                trainer.test(classifier, datamodule=data, ckpt_path=best, weights_only=True, verbose=False)
                result.metrics |= {name: float(trainer.callback_metrics[name]) for name in ("test/acc", "test/loss")}
        log_final(trainer.loggers, result.metrics, trainer.global_step)
    return result


def _same_length(config: Config, before: dict[str, Any]) -> bool:
    limits = [name.removeprefix("trainer.") for name in keys_where(limits_run)]
    return all(asdict(config.trainer)[limit] == before["trainer"][limit] for limit in limits)


def build_trainer(
    config: Config,
    budget: Budget,
    directory: Path,
    callbacks: list[L.Callback],
    loggers: list[Logger],
    checkpoint_io: CheckpointIO,
    world: World = ALONE,
) -> L.Trainer:
    _quieten_lightning()
    ours = keys_where(by_engine)
    settings = {name: value for name, value in asdict(config.trainer).items() if f"trainer.{name}" not in ours}
    settings |= own_device(config.trainer, world)
    settings["strategy"] = "auto" if world.size == 1 else SharedMinibatches()
    bar = [StepBar(budget)] if config.trainer.enable_progress_bar and world.rank == 0 else []
    return L.Trainer(
        **settings,
        max_epochs=budget.epochs,
        val_check_interval=budget.chunks_between_validations,
        log_every_n_steps=1,
        logger=loggers or False,
        callbacks=[*callbacks, *bar],
        # Lightning would look for SLURM and torchrun itself, and answer SLURM's signals in its own way.
        plugins=[checkpoint_io, KnownWorld(world)],
        default_root_dir=directory,
    )


def _resume_point(config: Config, directory: Path) -> Path | None:
    """The newest whole checkpoint of a stopped run, or None where it had not saved anything yet."""
    for name in (files.LAST, files.PREVIOUS):
        path = directory / runs.CHECKPOINTS / name
        if not path.exists():
            continue
        try:
            refuse_changes(asdict(config), files.read(path)["config"], scheduler=config.scheduler.name)
            return path
        except files.DamagedCheckpoint as error:
            log.warning("%s; going back to the checkpoint before it", error)
    return None


def description(config: Config, dataset: Dataset) -> dict[str, Any]:
    """What makes a checkpoint usable on its own; plain types only."""
    return {
        "config": asdict(config),
        "class_names": list(dataset.class_names),
        "normalisation": {"mean": config.data.mean, "std": config.data.std},
        "data_sha256": dataset.sha256,
        "versions": versions(),
        "threads": torch.get_num_threads(),
    }


def _quieten_lightning() -> None:
    """Its greetings say what the summary says better; its warnings stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # between Lightning and torch
    # Our loader goes on in the middle of an epoch by itself, from the optimizer step.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # The command itself runs on the login node, or submitit has used srun already.
    warnings.filterwarnings("ignore", message=".*srun.* command is available on your system but is not used.*")
    warnings.filterwarnings("ignore", message=".*csv exists and is not empty.*")  # `loggers` keeps what is there
    # torchmetrics has summed over all processes before we log.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.* when logging on epoch level.*")
