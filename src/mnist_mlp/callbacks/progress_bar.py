"""Progress bar: one for the whole run, in optimizer steps, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from mnist_mlp.data.run_length import RunLength
from mnist_mlp.runs.metric_text import metric_text

if TYPE_CHECKING:
    from mnist_mlp.engine.member import Member


class RunBar(ProgressBar):
    """Counts optimizer steps; Lightning's own bar would count chunks.

    A log message replaces the bar, which is drawn again below it: see `mnist_mlp.cli.console`.
    """

    def __init__(self, length: RunLength, members: Sequence[Member], title: str = "") -> None:
        """`title` precedes the epoch: the name of the stack, if there are several."""
        super().__init__()
        self.length, self.members, self.title = length, members, title
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: L.Trainer, *_: Any) -> None:
        self._bar = tqdm(
            total=self.length.total_steps,
            initial=trainer.global_step,
            desc=self._description(trainer),
            unit=" steps",
            unit_scale=True,  # 1.05k steps/s
            leave=False,
            mininterval=0.2,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left, {rate_fmt}{postfix}",
        )

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if self._bar is not None:
            self._bar.set_description_str(self._description(trainer), refresh=False)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self._bar is not None:
            self._bar.update(trainer.global_step - self._bar.n)

    def on_train_epoch_end(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self._validation(), refresh=True)

    def on_train_end(self, *_: Any) -> None:
        self._close()

    def on_exception(self, *_: Any) -> None:
        self._close()

    def _description(self, trainer: L.Trainer) -> str:
        return f"{self.title}epoch {trainer.current_epoch + 1}/{self.length.epochs}"

    def _validation(self) -> str:
        """The metric `checkpoint.monitor` as text; that of the best network, if there are several."""
        chosen = self.members[0].config.checkpoint
        measured = [member.trainer.callback_metrics.get(chosen.monitor) for member in self.members]
        values = [float(value) for value in measured if value is not None]
        if not values:
            return ""
        value = max(values) if chosen.mode == "max" else min(values)
        best = "best " if len(values) > 1 else ""
        return f"{best}{chosen.monitor.replace('/', ' ')} {metric_text(chosen.monitor, value)}"

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
