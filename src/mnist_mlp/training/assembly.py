"""Assembly of one run: its LightningModule; and its `Member`, with data, callbacks, loggers and result."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import lightning as L

from mnist_mlp.callbacks.history import History
from mnist_mlp.callbacks.model_checkpoint import Checkpointing, checkpoint_metadata
from mnist_mlp.callbacks.monitors import require_right_modes
from mnist_mlp.config.optional import optional
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.run_length import RunLength
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.member import Member
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.runs.loggers import build_loggers
from mnist_mlp.runs.result import Result


def build_module(job: Job, data: DigitsDataModule) -> DigitClassifier:
    """The LightningModule of a job, with initial weights from its own seed."""
    L.seed_everything(job.config.seed, verbose=False)
    return DigitClassifier(job.config, data.spec)


def build_member(
    job: Job,
    module: DigitClassifier,
    data: DigitsDataModule,
    length: RunLength,
    *,
    callbacks: Sequence[L.Callback],
    checkpoint_path: Path | None,
    result: Result,
    cleanup: ExitStack,
) -> Member:
    """The member of one job: module, data, callbacks, loggers and result; it resumes from `checkpoint_path`, if any."""
    config = job.config
    own_data = copy.copy(data)  # shares the images; augments with the seed of its own configuration
    own_data.config = config
    result.parameters = count_parameters(module)
    if not config.resume:
        require_right_modes(config, module.metrics_of("val"))
    history = History(config.trainer.log_every_n_steps)
    checkpointing = Checkpointing(job.directory, config.checkpoint, length, checkpoint_metadata(config, data))
    all_callbacks = [history, *callbacks, checkpointing]
    # `optional` returns None if extras/ was deleted.
    if config.dashboard.snapshots and config.logger.tensorboard and (dashboard := optional("dashboard")):
        all_callbacks.append(dashboard(config, data.spec.class_names, length.epochs))
    checkpoint = files.read(checkpoint_path) if checkpoint_path else None
    loggers = build_loggers(config, job.directory, purge_step=checkpoint["global_step"] + 1 if checkpoint else None)

    def collect() -> None:
        """Copy history and metrics from the callbacks to the result."""
        result.take_history(history.rows, checkpointing.best_epoch)
        # The history row of the best epoch has that epoch's last validation. The best validation may have been an
        # earlier one in the same epoch.
        result.metrics |= checkpointing.best_validation

    def finalize() -> None:
        # With another status TensorBoardLogger would not save the hyperparameters. result.json says if the run failed.
        for logger in loggers:
            logger.finalize("success")

    # These are called however the run ends. For a completed run, `train_stack` has called `collect` before.
    cleanup.callback(collect)
    cleanup.callback(finalize)
    return Member(
        job,
        module,
        own_data,
        length,
        callbacks=all_callbacks,
        loggers=loggers,
        start=checkpoint,
        result=result,
        collect=collect,
        cleanup=cleanup,
    )


def count_parameters(module: DigitClassifier) -> int:
    return sum(parameter.numel() for parameter in module.network.parameters())
