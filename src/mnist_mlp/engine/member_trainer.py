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
        self._step: int | None = None
        self._epoch: int | None = None

    @property
    def global_step(self) -> int:
        return self.stack_trainer.global_step if self._step is None else self._step

    @global_step.setter
    def global_step(self, step: int | None) -> None:
        """Set the step while a chunk is running: Lightning's own count only changes at the end of the chunk.

        None: use Lightning's count.
        """
        self._step = step

    @property
    def current_epoch(self) -> int:
        return self.stack_trainer.current_epoch if self._epoch is None else self._epoch

    @current_epoch.setter
    def current_epoch(self, epoch: int | None) -> None:
        """Set the epoch of a step that is tried out. None: use Lightning's count."""
        self._epoch = epoch

    def __getattr__(self, name: str) -> Any:
        if name == "stack_trainer":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.stack_trainer, name)


def count_steps(trainer: L.Trainer, done: int) -> None:
    """Set `global_step` of a stack's trainer, which Lightning computes from this counter of manual optimization."""
    trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_by(done - trainer.global_step)
