"""Training run: its parts (module, data module, callbacks, loggers), and what it leaves in its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from torch.nn.parameter import UninitializedParameter

from mnist_mlp.callbacks.history import History, stage_metrics
from mnist_mlp.callbacks.model_checkpoint import Checkpointing, checkpoint_metadata
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.optional import optional
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.image_datamodule import ImageDataModule
from mnist_mlp.data.loader import limited_part
from mnist_mlp.data.run_length import RunLength, run_length
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.runs.loggers import build_loggers, log_final
from mnist_mlp.runs.result import Result
from mnist_mlp.runs.run_directory import record_changes


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One training run: all that a `lightning.Trainer` needs, and the result that is filled from it."""

    config: Config
    directory: Path
    module: DigitClassifier
    datamodule: ImageDataModule
    length: RunLength
    history: History
    checkpointing: Checkpointing
    chosen_callbacks: list[L.Callback]
    """those of the configuration, and those added by the caller"""
    callbacks: list[L.Callback]
    """all of them, `history` and `checkpointing` included"""
    loggers: list[Logger]
    resume_path: Path | None
    """checkpoint from which training resumes"""
    checkpoint: dict[str, Any] | None
    """its content"""
    result: Result

    def copy_metrics(self) -> None:
        """Copy history and metrics from the callbacks to the result."""
        best = self.checkpointing.best_validation
        # As text, in which one NaN is the same as another.
        if any(str(self.result.metrics.get(name)) != str(value) for name, value in best.items()):
            # The test metrics that a resumed run has taken over are of another network: the best one has changed since.
            self.result.metrics |= {name: None for name in self.result.metrics if name.startswith("test/")}
        self.result.take_history(self.history.rows, self.checkpointing.best_epoch)
        # The history row of the best epoch has that epoch's last validation. The best validation may have been an
        # earlier one in the same epoch.
        self.result.metrics |= best

    def calibrate(self, *, in_stack: bool = False) -> None:
        """Calibrate the best checkpoint on the validation images, and add the result to its file.

        That is a temperature, a confidence threshold, and the score from which on an image counts as out of
        distribution (OOD). Skipped if the extras were deleted, or the data do not fit in memory.

        Args:
            in_stack: the run was trained beside others, so by default no OOD detector is fitted.
        """
        if not isinstance(self.datamodule, DigitsDataModule):
            return
        parts = self.datamodule.parts
        val = limited_part(parts["val"], self.config.trainer.limit_val_batches, self.config)
        if len(val[0]) > 0 and (calibrate := optional("calibrate")):
            calibrate(checkpoint_file.find(self.directory), val, parts["train"], self.config, in_stack=in_stack)

    def load_best(self) -> None:
        """Load the weights of the best checkpoint by validation."""
        self.module.load_state_dict(checkpoint_file.read(checkpoint_file.find(self.directory))["state_dict"])

    def finish(self) -> None:
        """After the test: add its metrics to the result, and log the final metrics."""
        trainer = self.module.trainer
        tested = stage_metrics("test", trainer)
        self.copy_metrics()
        self.result.metrics |= tested
        log_final(self.loggers, self.result.metrics, trainer.global_step)


def begin_result(config: Config, directory: Path) -> Result:
    """The result of a run that begins; a resumed one has the metrics and history that it had."""
    result = Result(directory=directory, seed=config.seed, config=asdict(config))
    if config.resume is not None:
        result.continue_from(directories.read(directory))
    return result


def build_module(config: Config, data: ImageDataModule) -> DigitClassifier:
    """The LightningModule, with initial weights from the seed of the configuration.

    Raises:
        ConfigError: a layer has no weights before the first batch.
    """
    L.seed_everything(config.seed, verbose=False)
    module = DigitClassifier(config, data.spec)
    if any(isinstance(weights, UninitializedParameter) for weights in module.parameters()):
        raise ConfigError(
            f"model={config.model.name}: expected layers with weights, got a lazy one, as nn.LazyLinear, which has "
            "none before the first batch; give it the number of its inputs"
        )
    return module


@contextmanager
def open_run(
    config: Config,
    directory: Path,
    module: DigitClassifier,
    data: ImageDataModule,
    result: Result,
    *,
    callbacks: Sequence[L.Callback] = (),
    resume_path: Path | None = None,
) -> Iterator[TrainingRun]:
    """The run with callbacks, loggers and the checkpoint that it resumes from.

    However the block ends, what was measured is copied to the result, and the loggers are closed. Sets
    `data.first_step`, the steps already done, and parameters and checksum in the result.

    Args:
        data: after its `setup`.
        callbacks: those of the configuration, and those added by the caller.
        resume_path: checkpoint from which training resumes.

    Raises:
        ConfigError: the run cannot be trained as configured, or has made more steps than it is now limited to.
    """
    length = run_length(config.data, config.trainer, data.sizes)
    result.parameters, result.data_sha256 = count_parameters(module), data.sha256
    checkpoint = checkpoint_file.read(resume_path) if resume_path else None
    data.first_step = checkpoint["global_step"] if checkpoint else 0
    if data.first_step > length.total_steps:
        raise ConfigError(
            f"trainer: the run has made {data.first_step} optimizer steps already; "
            f"expected max_epochs and max_steps to allow as many, got limits of {length.total_steps} steps"
        )
    if config.resume is not None:
        record_changes(directory, config)
    # The loggers of a resumed run drop what was logged after its checkpoint, since those steps are made again. Entries
    # have the number of steps done: that of the checkpoint, `first_step`, stays.
    purge_step = None
    if config.resume is not None:
        purge_step = data.first_step + 1 if checkpoint else 0
    history = History(config.trainer.log_every_n_steps, length.total_steps)
    checkpointing = Checkpointing(directory, config.checkpoint, length, checkpoint_metadata(config, data))
    all_callbacks = [history, *callbacks, checkpointing]
    shows = config.dashboard.snapshots and config.logger.tensorboard and isinstance(data, DigitsDataModule)
    if shows and (dashboard := optional("dashboard")):  # None if extras/ was deleted
        all_callbacks.append(dashboard(config, data.spec.class_names, length.epochs))
    run = TrainingRun(
        config=config,
        directory=directory,
        module=module,
        datamodule=data,
        length=length,
        history=history,
        checkpointing=checkpointing,
        chosen_callbacks=list(callbacks),
        callbacks=all_callbacks,
        loggers=build_loggers(config, directory, purge_step=purge_step),
        resume_path=resume_path,
        checkpoint=checkpoint,
        result=result,
    )
    status = "failed"
    try:
        yield run
        status = "success"
    finally:
        with ExitStack() as at_end:  # if one logger fails, the others are closed all the same
            at_end.callback(run.copy_metrics)
            for logger in run.loggers:
                at_end.callback(logger.finalize, status)
                if isinstance(logger, TensorBoardLogger):
                    # Saves the hyperparameters, which `finalize` leaves out of a run that failed.
                    at_end.callback(logger.save)


def count_parameters(module: DigitClassifier) -> int:
    return sum(parameter.numel() for parameter in module.network.parameters())
