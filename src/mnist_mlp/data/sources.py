"""Data sets by name: `load` and `describe` look up `data.name` in `SOURCES`.

To add one: a module with `describe` and `load`, and its entry in `SOURCES`. If the images do not fit in memory, a data
module of its own in the place of `load`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import Config, DataConfig
from mnist_mlp.data import folder, npz, synthetic
from mnist_mlp.data.dataset import Dataset, DatasetInfo, require_as_described
from mnist_mlp.data.mnist import FASHION_MNIST, MNIST
from mnist_mlp.data.normalisation import refuse_unusable_normalisation

if TYPE_CHECKING:
    from mnist_mlp.data.image_datamodule import ImageDataModule

# The split must leave at least this many training images. The schema requires as many for validation.
MIN_IMAGES = 10


@dataclass(frozen=True)
class Source:
    """How to describe and load one data set."""

    describe: Callable[[DataConfig], DatasetInfo]
    """sizes, shape and classes, without a download; of the images at most the first one is read"""
    load: Callable[[DataConfig], Dataset] | None = None
    """the whole data set, verified; None if it does not fit in memory"""
    reads_path: bool = False
    """whether it is read from `data.path`; else downloads are kept in `data.dir`"""
    datamodule: Callable[[Config], ImageDataModule] | None = None
    """a data module with loaders of its own, in the place of `load`; it needs `engine=plain`"""
    negative: bool = False
    """whether its images are light on black where a person saw dark on white; pictures show them dark on white"""


SOURCES = {
    "mnist": Source(MNIST.describe, MNIST.load, negative=True),
    "fashion_mnist": Source(FASHION_MNIST.describe, FASHION_MNIST.load, negative=True),
    "synthetic": Source(synthetic.describe, synthetic.load, negative=True),
    "folder": Source(folder.describe, folder.load, reads_path=True),
    "npz": Source(npz.describe, npz.load, reads_path=True),
}


def source_of(data: DataConfig) -> Source:
    """The source `data.name`.

    Raises:
        ConfigError: there is no such data set.
    """
    if data.name not in SOURCES:
        raise ConfigError(f"data.name: expected one of {', '.join(SOURCES)}, got {data.name!r}")
    return SOURCES[data.name]


def load(data: DataConfig, *, sha256: str | None = None) -> Dataset:
    """The data set `data.name`, verified.

    `sha256` is the checksum of the data that a checkpoint was trained on: evaluation must use the same data.

    Raises:
        ConfigError: as `describe`; or the data set has no `load`, the data are not those that it announced, or their
            checksum is not `sha256`.
        DataError: the download failed.
    """
    info = describe(data)
    source = source_of(data)
    if source.load is None:
        raise ConfigError(f"data={data.name}: this command needs all images in memory, and this data set has no `load`")
    dataset = source.load(data)
    require_as_described(dataset, info)
    if sha256 not in (None, dataset.sha256):
        raise ConfigError(f"{_place(data)}: expected the data that the network was trained on, found others (SHA-256)")
    return dataset


def describe(data: DataConfig) -> DatasetInfo:
    """Shape, classes and sizes of a data set, for checks before any work: without torch, and without its images.

    It takes milliseconds; for data=folder, which lists all files, half a second with 70,000 of them.

    Raises:
        ConfigError: there is no such data set, it is malformed, or has too few images for `data.val_size`.
    """
    source = source_of(data)
    if source.reads_path and data.path is None:
        raise ConfigError(f"data.path: expected the place of the images, as data={data.name} data.path=..., got null")
    if not source.reads_path and data.path is not None:
        raise ConfigError(
            f"data.path: expected null beside data={data.name}, got {data.path}; data=folder reads a path"
        )
    info = source.describe(data)
    refuse_unusable_normalisation(data, channels=info.image_shape[0])
    least = max(MIN_IMAGES, len(info.class_names))
    most = info.train_size - least
    if data.val_size > most:
        if most < MIN_IMAGES:
            raise ConfigError(
                f"{_place(data)}: expected at least {MIN_IMAGES + least} training images ({MIN_IMAGES} of them for "
                f"validation), got {info.train_size}"
            )
        raise ConfigError(
            f"data.val_size: expected at most {most} of the {info.train_size} images, got {data.val_size}"
        )
    return info


def _place(data: DataConfig) -> str:
    return f"data.path: {data.path}" if source_of(data).reads_path else f"data={data.name}"


def require_plain_engine_for_own_loaders(config: Config) -> None:
    """Raise ConfigError if the engine, which takes its batches from memory, is to train on a data set with loaders."""
    if config.engine == "fast" and source_of(config.data).datamodule is not None:
        raise ConfigError(
            f"engine: expected plain beside data={config.data.name}, which has loaders of its own, got fast"
        )


def with_data_at(data: DataConfig, place: str | None) -> DataConfig:
    """The section `data` with its files at `place` (if not None): they may have moved since the training run."""
    if place is None:
        return data
    return replace(data, path=place) if source_of(data).reads_path else replace(data, dir=place)
