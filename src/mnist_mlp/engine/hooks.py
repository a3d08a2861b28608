"""Hooks of Lightning, forwarded from the trainer of a stack to the module and the callbacks of each member."""

from __future__ import annotations

from typing import Any

import lightning as L

from mnist_mlp.engine.stack import Stack


class MemberHooks(L.Callback):
    """Callback of the stack that calls the same hook for each of its members."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def on_fit_start(self, *_: Any) -> None:
        self.stack.call("on_fit_start")

    def on_train_start(self, *_: Any) -> None:
        self.stack.call("on_train_start")
        self.stack.stop_members()

    def on_train_epoch_start(self, *_: Any) -> None:
        self.stack.call("on_train_epoch_start")

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.stack.stop_members()
        self.stack.call("on_train_batch_start", batch, batch_idx, module=False)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        for member in self.stack.training_members:
            self.stack.call_member(member, "on_train_batch_end", member.outputs, batch, batch_idx, module=False)

    def on_validation_start(self, *_: Any) -> None:
        self.stack.call("on_validation_start")

    def on_validation_epoch_start(self, *_: Any) -> None:
        self.stack.call("on_validation_epoch_start")

    def on_validation_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, *_: Any) -> None:
        self.stack.call("on_validation_batch_start", batch, batch_idx)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        for member in self.stack.training_members:
            self.stack.call_member(member, "on_validation_batch_end", member.evaluation_output, batch, batch_idx)

    def on_validation_epoch_end(self, *_: Any) -> None:
        self.stack.call("on_validation_epoch_end")

    def on_validation_end(self, *_: Any) -> None:
        self.stack.call("on_validation_end")

    def on_train_epoch_end(self, *_: Any) -> None:
        self.stack.end_epoch(self.stack.training_members)
        self.stack.stop_members(at_epoch_end=True)

    def on_train_end(self, *_: Any) -> None:
        self.stack.call("on_train_end")

    def on_fit_end(self, *_: Any) -> None:
        self.stack.call("on_fit_end", members=self.stack.surviving_members)

    def on_test_start(self, *_: Any) -> None:
        self.stack.call("on_test_start", members=self.stack.surviving_members)

    def on_test_epoch_end(self, *_: Any) -> None:
        self.stack.call("on_test_epoch_end", members=self.stack.surviving_members)

    def on_test_end(self, *_: Any) -> None:
        self.stack.call("on_test_end", members=self.stack.surviving_members)
