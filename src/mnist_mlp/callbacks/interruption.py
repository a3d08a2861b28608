"""Signals in a fit: finish the optimizer step, save, and stop; a second signal ends the process at once."""

from __future__ import annotations

import os
from types import FrameType
from typing import Any, Protocol

import lightning as L

from mnist_mlp.config.errors import Interrupted
from mnist_mlp.distributed.strategy import agree
from mnist_mlp.engine.run_length import Budget
from mnist_mlp.runs.signals import listen, stop_at_once


class Saves(Protocol):
    budget: Budget

    def save_last(self, trainer: L.Trainer) -> None: ...


class Interruption(L.Callback):
    """For a trainer inside of `signals.interruptible`, which serves before the first step and after the last one.

    Lightning puts its own handlers in place when a fit or a test begins, and those from before at its end.
    """

    def __init__(self, checkpoints: Saves) -> None:
        self.checkpoints = checkpoints
        self.received: int | None = None
        self._module: Any = None
        self._alone = True

    def on_sanity_check_start(self, *_: Any) -> None:
        listen(stop_at_once)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._module, self._alone = pl_module, trainer.world_size == 1
        listen(self._receive)

    def on_test_start(self, *_: Any) -> None:
        listen(stop_at_once)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        # Several processes, of which perhaps one was told, stop after the same chunk.
        self._module.stop_requested = self._alone

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        # Cut short inside a chunk: stop before Lightning takes the chunk for done, and perhaps validates.
        if self._alone and self.received and not self.checkpoints.budget.ends_chunk(trainer.global_step):
            self._stop(trainer, self.received)

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        # After a whole chunk, the validation and the end of the epoch that may follow it come first.
        if number := self._received_by_any(trainer):
            self._stop(trainer, number)

    def _received_by_any(self, trainer: L.Trainer) -> int:
        return int(agree(trainer, self.received or 0))

    def _stop(self, trainer: L.Trainer, number: int) -> None:
        self.checkpoints.save_last(trainer)
        raise Interrupted(number)

    def on_fit_end(self, trainer: L.Trainer, *_: Any) -> None:
        if number := self._received_by_any(trainer):
            raise Interrupted(number)
