"""Data sets by name. `load` is the way in; a new one is a module with `describe` and `load`, and a line in SOURCES."""

from __future__ import annotations

from typing import Protocol

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data import synthetic
from mnist_mlp.data.dataset import Dataset, DatasetInfo
from mnist_mlp.data.mnist import FASHION_MNIST, MNIST

# Fewer say nothing about a network, on either side of the split.
FEWEST = 10


class Source(Protocol):
    """Where a data set comes from: a module or an object."""

    def describe(self, data: DataConfig) -> DatasetInfo:
        """What is known of the data set without reading or fetching all of it."""

    def load(self, data: DataConfig) -> Dataset:
        """The whole data set, verified."""


SOURCES: dict[str, Source] = {"mnist": MNIST, "fashion_mnist": FASHION_MNIST, "synthetic": synthetic}


def load(data: DataConfig) -> Dataset:
    """The data set that the section `data` of a configuration names, complete and verified.

    Raises:
        ConfigError: as `describe`.
        DataError: it cannot be had, or is not whole.
    """
    describe(data)
    return SOURCES[data.name].load(data)


def describe(data: DataConfig) -> DatasetInfo:
    """Shape, classes and sizes of a data set, in milliseconds and without torch: asked before any work begins.

    Raises:
        ConfigError: there is no such data set, or it has too few images for `data.val_size`.
        DataError: it is not there, or not as it has to be.
    """
    if data.name not in SOURCES:
        raise ConfigError(f"data.name: expected one of {', '.join(SOURCES)}, got {data.name!r}")
    info = SOURCES[data.name].describe(data)
    most = info.train_size - max(FEWEST, len(info.class_names))
    if data.val_size > most:
        raise ConfigError(
            f"data.val_size: expected at most {most} of the {info.train_size} images, got {data.val_size}"
        )
    return info
