"""Progress bar: one for the whole run, in optimizer steps, on a terminal only."""

from __future__ import annotations

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from mnist_mlp.engine.run_length import RunLength


class RunBar(ProgressBar):
    """Counts optimizer steps; Lightning's own bar would count chunks."""

    def __init__(self, length: RunLength) -> None:
        super().__init__()
        self.length = length
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: L.Trainer, *_: Any) -> None:
        self._bar = tqdm(
            total=self.length.total_steps,
            initial=trainer.global_step,
            unit="step",
            leave=False,
            mininterval=0.2,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left, {rate_fmt}{postfix}",
        )

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if self._bar is not None:
            self._bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", refresh=False)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self._bar is not None:
            self._bar.update(trainer.global_step - self._bar.n)

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self._bar is not None and "val/acc" in trainer.callback_metrics:
            self._bar.set_postfix_str(f"val {trainer.callback_metrics['val/acc']:.2%}", refresh=False)

    def on_train_end(self, *_: Any) -> None:
        self._close()

    def on_exception(self, *_: Any) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
