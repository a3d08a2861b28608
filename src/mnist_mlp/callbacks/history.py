"""Tells how training goes: one row an epoch, scalars for the loggers, one line on the console."""

from __future__ import annotations

import logging
import time
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

log = logging.getLogger(__name__)


class History(L.Callback):
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._validated: dict[str, float] = {}  # since the present epoch began
        self._seconds_before = 0.0  # of the present epoch, in the process that was stopped
        self._epoch_began = self._chunk_began = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "validated": self._validated, "seconds": time.perf_counter() - self._epoch_began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self._validated = state_dict["rows"], state_dict["validated"]
        self._seconds_before = state_dict["seconds"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._epoch_began = time.perf_counter() - self._seconds_before

    def on_train_batch_start(self, *_: Any) -> None:
        self._chunk_began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        losses: Tensor = outputs["losses"]
        if len(losses) == 0:
            return
        scalars = {
            "train/loss": float(losses.mean()),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "gradient_norm": _gradient_norm(trainer.optimizers[0]),
            "images_per_second": len(batch.order) / (time.perf_counter() - self._chunk_began),
        }
        _log(trainer, scalars)

    def on_validation_end(self, trainer: L.Trainer, *_: Any) -> None:
        # Lightning's `callback_metrics` hold these until the next validation, be it epochs away.
        if not trainer.sanity_checking:
            self._validated = {name: float(trainer.callback_metrics[name]) for name in ("val/loss", "val/acc")}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        metrics = pl_module.train_metrics() | self._validated
        now = time.perf_counter()
        row = {
            "epoch": trainer.current_epoch,
            **{name: metrics.get(name) for name in ("train/loss", "train/acc", "val/loss", "val/acc")},
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": now - self._epoch_began,
        }
        self._epoch_began, self._validated = now, {}
        # A run that ended in the middle of an epoch, and is lengthened, has a row of that one already.
        self.rows = [*(row for row in self.rows if row["epoch"] < trainer.current_epoch), row]
        _log(
            trainer,
            {name: value for name, value in row.items() if name in ("train/acc", "val/loss", "val/acc")},
        )
        log.info(_line(row, epochs=trainer.max_epochs))


def _gradient_norm(optimizer: torch.optim.Optimizer) -> float | None:
    """Of all parameters together, at the last step, after clipping; None where they keep no gradients."""
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return float(get_total_norm(gradients)) if gradients else None


def _log(trainer: L.Trainer, scalars: dict[str, float | None]) -> None:
    known = {name: value for name, value in scalars.items() if value is not None}
    for logger in trainer.loggers:
        logger.log_metrics(known, step=trainer.global_step)


def _line(row: dict[str, Any], epochs: int | None) -> str:
    words = [
        f"epoch {row['epoch'] + 1:>3}/{epochs}",
        f"train loss {row['train/loss']:.4f}  acc {row['train/acc']:.2%}",
    ]
    if row["val/acc"] is not None:
        words.append(f"val loss {row['val/loss']:.4f}  acc {row['val/acc']:.2%}")
    return "   ".join([*words, f"{row['seconds']:.2f} s"])
