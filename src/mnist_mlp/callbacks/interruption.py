"""Interruption by a signal during training: finish the batch, save a checkpoint, stop; a second signal kills."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import FrameType
from typing import Any

import lightning as L

from mnist_mlp.config.errors import Interrupted
from mnist_mlp.distributed.strategy import max_over_ranks
from mnist_mlp.runs.signals import install_handlers, stop_at_once


class Interruption(L.Callback):
    """Signal handlers from the sanity check to the end of the test: save a checkpoint in training, else stop at once.

    Lightning replaces the handlers when a fit or a test begins; this callback installs ours in the first hook after it.
    Before, those of `signals.interruptible` are in place.
    """

    def __init__(self, save_last: Callable[[L.Trainer], None]) -> None:
        self.save_last = save_last
        self.received = 0  # the number of the signal; 0: none

    def on_sanity_check_start(self, *_: Any) -> None:
        install_handlers(stop_at_once)

    def on_train_start(self, *_: Any) -> None:
        install_handlers(self._receive)

    def on_test_start(self, *_: Any) -> None:
        install_handlers(stop_at_once)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        # At the start of the next batch, so that a validation and the end of an epoch in between are complete.
        if number := self._received_by_any(trainer):
            self.save_last(trainer)
            raise Interrupted(number)

    def on_fit_end(self, trainer: L.Trainer, *_: Any) -> None:
        if number := self._received_by_any(trainer):
            raise Interrupted(number)

    def _received_by_any(self, trainer: L.Trainer) -> int:
        return int(max_over_ranks(trainer, self.received))
