"""Early stopping: ends a run after `callbacks.early_stopping.patience` validations without improvement."""

from __future__ import annotations

import logging
from typing import Any

import lightning as L
from lightning.pytorch import callbacks

from mnist_mlp.config.schema import EarlyStoppingConfig
from mnist_mlp.runs.monitored import require_measured

log = logging.getLogger(__name__)


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's EarlyStopping; in addition a run that has stopped, and is resumed, stops again at once."""

    only_reads = True

    def __init__(self, config: EarlyStoppingConfig) -> None:
        assert config.patience is not None
        super().__init__(
            monitor=config.monitor,
            mode=config.mode,
            patience=config.patience,
            min_delta=config.min_delta,
            check_on_train_epoch_end=False,
            log_rank_zero_only=True,
        )

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            require_measured("callbacks.early_stopping", self.monitor, trainer.callback_metrics)
        stopped = trainer.should_stop
        super().on_validation_end(trainer, pl_module)
        if trainer.should_stop and not stopped:
            # `wait_count` is saved, and `on_train_start` of a resumed run sees by it that the run had stopped.
            # Lightning does not raise it when it stops because of a value that is NaN or infinite.
            self.wait_count = self.patience
            log.info("early stopping: %s", self.stopping_reason_message)

    def on_train_start(self, trainer: L.Trainer, *_: Any) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True
