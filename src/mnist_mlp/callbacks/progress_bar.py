"""Progress bar: one for the whole run, in optimizer steps, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from torch import Tensor
from tqdm import tqdm

from mnist_mlp.config.schema import CheckpointConfig
from mnist_mlp.data.run_length import RunLength
from mnist_mlp.runs.metric_text import metric_text


class RunBar(ProgressBar):
    """Counts optimizer steps, over the whole run; Lightning's own bar counts the batches of one epoch.

    A log message replaces the bar, which is drawn again below it: see `mnist_mlp.cli.console`.
    """

    def __init__(self, length: RunLength, checkpoint: CheckpointConfig, title: str = "") -> None:
        """
        Args:
            checkpoint: its `monitor` is shown.
            title: precedes the epoch.
        """
        super().__init__()
        self.length, self.checkpoint, self.title = length, checkpoint, title
        self._bar: tqdm[Any] = tqdm(disable=True)  # until training begins

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
        self._bar.set_description_str(self._description(trainer), refresh=False)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self._bar.update(trainer.global_step - self._bar.n)

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self._bar.set_postfix_str(self._validation(trainer), refresh=True)

    def on_train_end(self, *_: Any) -> None:
        self._bar.close()

    def on_exception(self, *_: Any) -> None:
        self._bar.close()

    def _description(self, trainer: L.Trainer) -> str:
        return f"{self.title}epoch {trainer.current_epoch + 1}/{self.length.epochs}"

    def metrics_of_networks(self, trainer: L.Trainer) -> list[Mapping[str, Tensor]]:
        """The latest metrics of each network that is trained."""
        return [trainer.callback_metrics]

    def _validation(self, trainer: L.Trainer) -> str:
        """The metric `checkpoint.monitor` as text; that of the best network, if there are several."""
        chosen = self.checkpoint
        measured = [metrics.get(chosen.monitor) for metrics in self.metrics_of_networks(trainer)]
        values = [float(value) for value in measured if value is not None and not value.isnan()]
        if not values:
            return ""
        value = max(values) if chosen.mode == "max" else min(values)
        best = "best " if len(values) > 1 else ""
        return f"{best}{chosen.monitor.replace('/', ' ')} {metric_text(chosen.monitor, value)}"
