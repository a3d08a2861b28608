"""Data sets by name. `load` is the way in; a new one is a module with `describe` and `load`, and a line in SOURCES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data import folder, npz, synthetic
from mnist_mlp.data.dataset import Dataset, DatasetInfo
from mnist_mlp.data.mnist import FASHION_MNIST, MNIST
from mnist_mlp.data.normalisation import refuse_unusable_normalisation

# Fewer say nothing about a network, on either side of the split.
FEWEST = 10


@dataclass(frozen=True)
class Source:
    """Where a data set comes from."""

    describe: Callable[[DataConfig], DatasetInfo]
    """What is known of it without reading or fetching all of it."""
    load: Callable[[DataConfig], Dataset]
    """All of it, verified."""
    reads_path: bool = False
    """Whether it lies at `data.path`; else `data.dir` keeps what was downloaded."""


SOURCES = {
    "mnist": Source(MNIST.describe, MNIST.load),
    "fashion_mnist": Source(FASHION_MNIST.describe, FASHION_MNIST.load),
    "synthetic": Source(synthetic.describe, synthetic.load),
    "folder": Source(folder.describe, folder.load, reads_path=True),
    "npz": Source(npz.describe, npz.load, reads_path=True),
}


def load(data: DataConfig, *, sha256: str | None = None) -> Dataset:
    """The data set that the section `data` of a configuration names, complete and verified.

    `sha256` is the checksum of the data that it has to be, where that is known: a network is not to be trained on,
    or evaluated with, other images than those it began with.

    Raises:
        ConfigError: as `describe`, or the data are others than those of `sha256`.
        DataError: it cannot be had, or is not whole.
    """
    describe(data)
    source = SOURCES[data.name]
    dataset = source.load(data)
    if sha256 not in (None, dataset.sha256):
        place = f"data.path: {data.path}: " if source.reads_path else f"data={data.name}: "
        raise ConfigError(f"{place}expected the data that the network was trained on, found others (SHA-256)")
    return dataset


def describe(data: DataConfig) -> DatasetInfo:
    """Shape, classes and sizes of a data set, in milliseconds and without torch: asked before any work begins.

    Raises:
        ConfigError: there is no such data set, or it has too few images for `data.val_size`.
        DataError: it is not there, or not as it has to be.
    """
    source = SOURCES.get(data.name)
    if source is None:
        raise ConfigError(f"data.name: expected one of {', '.join(SOURCES)}, got {data.name!r}")
    if source.reads_path and data.path is None:
        raise ConfigError(f"data.path: expected the place of the images, as data={data.name} data.path=..., got null")
    if not source.reads_path and data.path is not None:
        raise ConfigError(
            f"data.path: expected null beside data={data.name}, got {data.path}; data=folder reads a path"
        )
    info = source.describe(data)
    refuse_unusable_normalisation(data, channels=info.image_shape[0])
    most = info.train_size - max(FEWEST, len(info.class_names))
    if data.val_size > most:
        raise ConfigError(
            f"data.val_size: expected at most {most} of the {info.train_size} images, got {data.val_size}"
        )
    return info


def moved(data: DataConfig, place: str | None) -> DataConfig:
    """`data` with its files at `place`, where that is not null: they may lie elsewhere than when a network learned."""
    if place is None:
        return data
    return replace(data, path=place) if SOURCES[data.name].reads_path else replace(data, dir=place)
