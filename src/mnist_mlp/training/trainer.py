"""`build_trainer`: the trainer of engine=plain; `shared_arguments`: what the engine's trainer has in common with it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import lightning as L

from mnist_mlp.callbacks.interruption import Interruption
from mnist_mlp.callbacks.loop_progress import end_run
from mnist_mlp.callbacks.progress_bar import RunBar
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import keys_where, not_passed_on
from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.strategy import SharedMinibatches, WorldEnvironment, device_arguments
from mnist_mlp.distributed.world import World
from mnist_mlp.runs.checkpoint_io import BackgroundCheckpointIO
from mnist_mlp.training.run import TrainingRun


def build_trainer(run: TrainingRun, world: World, *, bar: str | None = "") -> L.Trainer:
    """A trainer of Lightning's own loop.

    Args:
        bar: title of the progress bar; None for no bar.
    """
    config, between = run.config.trainer, run.length.steps_between_validations
    arguments = shared_arguments(run.config, world, with_bar=bar is not None)
    shown = [RunBar(run.length, run.config.checkpoint, bar or "")] if arguments["enable_progress_bar"] else []
    trainer = L.Trainer(
        **arguments,
        max_epochs=run.length.epochs,
        max_steps=run.length.total_steps,
        limit_train_batches=run.length.steps_per_epoch,
        limit_val_batches=int(config.fast_dev_run) or config.limit_val_batches,
        limit_test_batches=int(config.fast_dev_run) or config.limit_test_batches,
        # 1.0 instead of a whole epoch's batches: of a loader with fewer batches than planned Lightning would say that
        # the interval is too long, before `PlannedLength` can say what is wrong.
        val_check_interval=between if between < run.length.steps_per_epoch else 1.0,
        # Lightning warns of an interval longer than an epoch. Our callback `History` logs the values of a step, at the
        # configured interval.
        log_every_n_steps=min(config.log_every_n_steps, run.length.steps_per_epoch),
        gradient_clip_val=config.gradient_clip_val,
        gradient_clip_algorithm=config.gradient_clip_algorithm,
        callbacks=[PlannedLength(run), *run.callbacks, Interruption(run.checkpointing.save_last), *shown],
        logger=run.loggers or False,
        # Without an explicit environment Lightning would detect SLURM, and install its handlers for requeueing.
        plugins=[BackgroundCheckpointIO(), WorldEnvironment(world)],
        default_root_dir=run.directory,
    )
    # Lightning converts the module only after it has loaded a checkpoint: float64 weights would be rounded to float32.
    trainer.precision_plugin.convert_module(run.module)
    return trainer


class PlannedLength(L.Callback):
    """Planned length of a run: checks batches and optimizers, keeps Lightning's count of steps, ends the last epoch.

    If `max_steps` ends the run within an epoch, the validation of that epoch follows at once.
    """

    def __init__(self, run: TrainingRun) -> None:
        self.run = run

    def on_train_start(self, trainer: L.Trainer, *_: Any) -> None:
        planned, data = self.run.length.steps_per_epoch, self.run.datamodule
        if trainer.num_training_batches != planned:
            raise ConfigError(
                f"{type(data).__name__}.train_dataloader: expected {planned} batches of {data.batch_size} images, "
                f"and the last one not dropped, got {trainer.num_training_batches}"
            )
        if len(trainer.optimizers) > 1:
            raise ConfigError(
                f"configure_optimizers: expected one optimizer, perhaps with several groups of parameters, got "
                f"{len(trainer.optimizers)}: the length of a run and its checkpoints count one step for each batch"
            )

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        # Private: the step number with which Lightning logs. It adds one to it when it resumes between two epochs, or
        # after a validation.
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step >= self.run.length.total_steps:
            end_run(trainer)  # else Lightning would not validate the last epoch if `max_steps` shortens it


def shared_arguments(config: Config, world: World, *, with_bar: bool) -> dict[str, Any]:
    """Arguments of lightning.Trainer that both engines share."""
    others = keys_where(not_passed_on)
    settings = {name: value for name, value in asdict(config.trainer).items() if f"trainer.{name}" not in others}
    if config.trainer.fast_dev_run:
        settings["check_val_every_n_epoch"] = 1  # as Lightning does
    settings["enable_progress_bar"] = config.trainer.enable_progress_bar and world.rank == 0 and with_bar
    settings |= device_arguments(config.trainer, world)
    settings["strategy"] = "auto" if world.size == 1 else SharedMinibatches()
    return settings
