"""Assembly of the engine: module, data module and trainer of Lightning that train one or many runs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain

import lightning as L
from torch import Tensor

from mnist_mlp.callbacks.interruption import Interruption
from mnist_mlp.callbacks.progress_bar import RunBar
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.distributed.strategy import WorldEnvironment
from mnist_mlp.distributed.world import World
from mnist_mlp.engine.chunked_data import ChunkedData
from mnist_mlp.engine.chunked_length import in_chunks
from mnist_mlp.engine.hooks import MemberHooks
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.member import Member
from mnist_mlp.engine.member_checkpoint_io import MemberCheckpointIO
from mnist_mlp.engine.overrides import has_batch_hooks
from mnist_mlp.engine.stack import Stack
from mnist_mlp.training.run import TrainingRun
from mnist_mlp.training.trainer import shared_arguments


def assemble(
    runs: Sequence[TrainingRun],
    world: World,
    *,
    bar: str | None = "",
    jobs: Sequence[Job] | None = None,
    cleanups: Sequence[ExitStack] | None = None,
) -> tuple[Stack, ChunkedData, L.Trainer]:
    """Build a stack of the runs, its data, and the trainer that trains it.

    A batch of this trainer is a chunk of steps. Each run keeps its own callbacks, loggers and checkpoints.

    Args:
        bar: title of the progress bar; None for no bar.
        jobs: for each run, its number in a sweep and its log files.
        cleanups: for each run, an ExitStack that closes its loggers and writes its result.json; closed early if this
            run fails alone.
    """
    first = runs[0]
    length = in_chunks(first.length, first.config.trainer.log_every_n_steps)
    if any(has_batch_hooks(callback) for callback in chain.from_iterable(run.chosen_callbacks for run in runs)):
        length = replace(length, chunk_steps=1)  # so that a stop or a save in these hooks takes effect after that step
    members = [
        Member(
            job,
            run.module,
            _in_memory(run),
            length,
            callbacks=run.callbacks,
            chosen_callbacks=run.chosen_callbacks,
            loggers=run.loggers,
            start=run.checkpoint,
            cleanup=cleanup,
        )
        for run, job, cleanup in zip(
            runs,
            jobs or [Job(config=run.config, directory=run.directory) for run in runs],
            cleanups or [ExitStack() for _ in runs],
            strict=True,
        )
    ]
    stack = Stack(members)
    arguments = shared_arguments(first.config, world, with_bar=bar is not None)
    shown = [StackBar(stack, bar or "")] if arguments["enable_progress_bar"] else []
    trainer = L.Trainer(
        **arguments,
        max_epochs=length.epochs,
        val_check_interval=length.chunks_between_validations,
        log_every_n_steps=1,
        callbacks=[MemberHooks(stack), Interruption(stack.save_last), *shown],
        logger=False,
        enable_checkpointing=False,
        # Without an explicit environment Lightning would detect SLURM, and install its handlers for requeueing.
        plugins=[MemberCheckpointIO(members), WorldEnvironment(world)],
        default_root_dir=first.directory,
    )
    return stack, ChunkedData(_in_memory(first), length, [run.config for run in runs]), trainer


def _in_memory(run: TrainingRun) -> DigitsDataModule:
    """The data module of a run: in memory, as `require_plain_engine_for_own_loaders` has refused any other."""
    assert isinstance(run.datamodule, DigitsDataModule)
    return run.datamodule


class StackBar(RunBar):
    """Progress bar of a stack; it shows the best of its networks."""

    def __init__(self, stack: Stack, title: str) -> None:
        first = stack.members[0]
        super().__init__(first.length, first.config.checkpoint, title)
        self.stack = stack

    def metrics_of_networks(self, trainer: L.Trainer) -> list[Mapping[str, Tensor]]:
        return [member.trainer.callback_metrics for member in self.stack.surviving_members]
