"""A bar over the optimizer steps of an epoch, on a terminal only."""

from __future__ import annotations

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from mnist_mlp.engine.run_length import Budget


class StepBar(ProgressBar):
    """Lightning's own bars count chunks; this one counts optimizer steps."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self._bar: tqdm[Any] | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self._bar = tqdm(
            total=self.budget.steps_per_epoch,
            desc=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            unit="step",
            leave=False,
            mininterval=0.2,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self._bar is not None:
            self._bar.update(trainer.global_step - trainer.current_epoch * self.budget.steps_per_epoch - self._bar.n)

    def on_train_epoch_end(self, *_: Any) -> None:
        self._close()

    def on_exception(self, *_: Any) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
