"""Trainer of one member of a stack, as its module, callbacks and loggers see it."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.loggers import Logger
from torch import Tensor
from torch.optim import Optimizer

from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.run_length import RunLength
from mnist_mlp.module import DigitClassifier


class MemberTrainer:
    """A view of the stack's trainer for one member.

    Its own are module, data module, optimizers, callbacks, loggers, `callback_metrics`, step, epoch, length and stop
    flag; all else, `logged_metrics` too, is the stack's.
    """

    global_step: int
    """the stack's, unless it is set: while a chunk is running, as Lightning's own count changes only at its end"""
    current_epoch: int
    """the stack's, unless it is set: for a step that is tried out"""

    def __init__(
        self,
        stack_trainer: L.Trainer,
        module: DigitClassifier,
        datamodule: DigitsDataModule,
        callbacks: list[L.Callback],
        loggers: list[Logger],
        length: RunLength,
    ) -> None:
        self.stack_trainer = stack_trainer
        self.lightning_module, self.datamodule = module, datamodule
        self.callbacks, self.loggers = callbacks, loggers
        self.logger = loggers[0] if loggers else None
        # In optimizer steps: for the stack's trainer a batch is a chunk.
        self.estimated_stepping_batches = self.max_steps = length.total_steps
        self.num_training_batches = length.steps_per_epoch
        self.optimizers: list[Optimizer] = []
        self.callback_metrics: dict[str, Tensor] = {}
        self.should_stop = False

    def __getattr__(self, name: str) -> Any:
        if name == "stack_trainer":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.stack_trainer, name)


def count_steps(trainer: L.Trainer, done: int) -> None:
    """Set `global_step` of a stack's trainer, which Lightning computes from this counter of manual optimization."""
    trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_by(done - trainer.global_step)
