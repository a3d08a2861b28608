"""Runs of two short epochs, whose weights are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.kill_and_resume import configuration
from torch import Tensor

from mnist_mlp.model.networks import MLP
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train

SHORT = ("trainer.max_epochs=2", "trainer.limit_train_batches=12", "trainer.limit_val_batches=4", "model.dropout=0")

QUIET = ("logger=none", "threads=1", "trainer.precision=64-true")


def slow(parameter: Any) -> Any:
    return pytest.param(parameter, marks=pytest.mark.slow)


def trained(directory: Path, *overrides: str) -> dict[str, Tensor]:
    """The weights after two short epochs."""
    train(configuration(*SHORT, *QUIET, *overrides), directory)
    return checkpoint_file.read(directory / "checkpoints" / checkpoint_file.LAST)["state_dict"]


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert list(one) == list(other)
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def skip_connection(network: MLP, images: Tensor) -> Tensor:
    """A change of the kind that a copy of the computation would not notice."""
    hidden = network.layers[:-1](network.normalise(images))
    return network.layers[-1](hidden) + hidden[:, :10]
