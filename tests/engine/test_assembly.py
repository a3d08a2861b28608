"""The bar of a stack shows the best of its networks."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mnist_mlp.engine.assembly import StackBar


def member(monitor: str, mode: str, value: float) -> Any:
    return SimpleNamespace(
        config=SimpleNamespace(checkpoint=SimpleNamespace(monitor=monitor, mode=mode)),
        length=SimpleNamespace(total_steps=100, epochs=2),
        trainer=SimpleNamespace(callback_metrics={monitor: torch.tensor(value)}),
    )


@pytest.mark.parametrize(
    ("monitor", "mode", "shown"),
    [("val/acc", "max", "best val acc 75.00%"), ("val/loss", "min", "best val loss 0.5000")],
)
def test_a_stack_shows_its_best_network(monitor: str, mode: str, shown: str) -> None:
    members = [member(monitor, mode, value) for value in (math.nan, 0.5, 0.75)]
    stack: Any = SimpleNamespace(members=members, surviving_members=members)
    trainer: Any = SimpleNamespace(callback_metrics={})
    assert StackBar(stack, title="")._validation(trainer) == shown
