"""Reports every epoch of a trial to its study, and ends the trial where others did better at the same point."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import lightning as L
import optuna

from mnist_mlp.callbacks.history import History
from mnist_mlp.config.errors import Pruned


class Pruning(L.Callback):
    only_reads = True

    def __init__(self, trial: optuna.Trial, reported: Set[int]) -> None:
        """`reported`: numbers of epochs that the study knows already, of a resumed trial."""
        self.trial, self.reported = trial, reported

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        # Not from Lightning's `callback_metrics`: where this epoch was not validated they hold an earlier one's.
        callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        history = next(callback for callback in callbacks if isinstance(callback, History))
        accuracy, epochs = history.validated.get("val/acc"), trainer.current_epoch + 1
        if accuracy is not None and epochs not in self.reported:
            self.trial.report(accuracy, step=epochs)

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        # At the start of an epoch: the one before is saved by then, and a trial that has all its epochs is complete,
        # never pruned.
        # After a kill, some epochs that were reported are trained again: the pruner has let the trial pass, and is not
        # asked again.
        trained_again = trainer.current_epoch < max(self.reported, default=0)
        if trainer.current_epoch > 0 and not trained_again and self.trial.should_prune():
            raise Pruned(trainer.current_epoch, trainer.max_epochs or 0)
