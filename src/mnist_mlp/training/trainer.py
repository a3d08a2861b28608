"""The `lightning.Trainer` of a run: with engine=fast it trains the stack, with engine=plain the module itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import lightning as L

from mnist_mlp.callbacks.interruption import Interruption
from mnist_mlp.callbacks.model_checkpoint import Checkpointing
from mnist_mlp.callbacks.progress_bar import RunBar
from mnist_mlp.config.keys import by_engine, keys_where
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.run_length import RunLength
from mnist_mlp.distributed.strategy import SharedMinibatches, WorldEnvironment, device_arguments
from mnist_mlp.distributed.world import World
from mnist_mlp.engine.chunked_data import ChunkedData
from mnist_mlp.engine.hooks import MemberHooks
from mnist_mlp.engine.member import Member, MemberCheckpointIO
from mnist_mlp.engine.stack import Stack
from mnist_mlp.runs.checkpoint_io import BackgroundCheckpointIO
from mnist_mlp.training.process_settings import quieten_lightning


def build_trainer(
    config: Config,
    members: Sequence[Member],
    data: DigitsDataModule,
    length: RunLength,
    world: World,
    title: str | None,
) -> tuple[L.LightningModule, L.LightningDataModule, L.Trainer]:
    """Module, data module and trainer: those of the engine, or with engine=plain Lightning's own.

    Args:
        title: of the progress bar; None if this process draws none.
    """
    quieten_lightning()
    settings = _passed_on(config, world)
    settings["enable_progress_bar"] = config.trainer.enable_progress_bar and world.rank == 0 and title is not None
    bar: list[L.Callback] = [RunBar(length, members, title or "")] if settings["enable_progress_bar"] else []
    if config.engine == "plain":
        return members[0].module, data, _plain_trainer(settings, bar, members[0], length)
    stack = Stack(members)
    data_of_stack = ChunkedData(data, length, [member.config for member in members])
    return stack, data_of_stack, _engine_trainer(settings, bar, stack, length, world)


def _plain_trainer(settings: dict[str, Any], bar: list[L.Callback], member: Member, length: RunLength) -> L.Trainer:
    """Trainer of a single module, by Lightning's own loop: a batch is a minibatch."""
    trainer_config = member.config.trainer
    checkpointing = next(callback for callback in member.callbacks if isinstance(callback, Checkpointing))
    trainer = L.Trainer(
        **settings,
        max_epochs=length.epochs,
        max_steps=length.total_steps,
        limit_train_batches=length.steps_per_epoch,
        limit_val_batches=int(trainer_config.fast_dev_run) or trainer_config.limit_val_batches,
        limit_test_batches=int(trainer_config.fast_dev_run) or trainer_config.limit_test_batches,
        val_check_interval=length.step_by_step().chunks_between_validations,
        log_every_n_steps=trainer_config.log_every_n_steps,
        gradient_clip_val=trainer_config.gradient_clip_val,
        gradient_clip_algorithm=trainer_config.gradient_clip_algorithm,
        callbacks=[*member.callbacks, Interruption(checkpointing.save_last), *bar],
        logger=member.loggers or False,
        plugins=[BackgroundCheckpointIO()],
        default_root_dir=member.directory,
    )
    member.trainer = trainer  # type: ignore[assignment]
    return trainer


def _engine_trainer(
    settings: dict[str, Any], bar: list[L.Callback], stack: Stack, length: RunLength, world: World
) -> L.Trainer:
    """Trainer of a stack: a batch is a chunk of steps; each member has its own callbacks, loggers and checkpoints."""
    return L.Trainer(
        **settings,
        max_epochs=length.epochs,
        val_check_interval=length.chunks_between_validations,
        log_every_n_steps=1,
        callbacks=[MemberHooks(stack), Interruption(stack.save_last), *bar],
        logger=False,
        enable_checkpointing=False,
        # Without an explicit environment Lightning would detect SLURM, and install its handlers for requeueing.
        plugins=[MemberCheckpointIO(stack.members), WorldEnvironment(world)],
        default_root_dir=stack.members[0].directory,
    )


def _passed_on(config: Config, world: World) -> dict[str, Any]:
    """Arguments of lightning.Trainer: keys of `trainer` passed on as they are; devices and strategy of this rank."""
    set_elsewhere = keys_where(by_engine)
    settings = {name: value for name, value in asdict(config.trainer).items() if f"trainer.{name}" not in set_elsewhere}
    if config.trainer.fast_dev_run:
        settings["check_val_every_n_epoch"] = 1  # as Lightning's
    settings |= device_arguments(config.trainer, world)
    settings["strategy"] = "auto" if world.size == 1 else SharedMinibatches()
    return settings
