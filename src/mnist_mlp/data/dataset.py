"""Dataset: labelled images in memory; DatasetInfo: their number, shape and classes, without the images."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnist_mlp.config.errors import ConfigError


@dataclass(frozen=True)
class DatasetInfo:
    """Shape, classes and sizes of a data set, without its images."""

    name: str
    image_shape: tuple[int, int, int]
    """`(C, H, W)`"""
    class_names: tuple[str, ...]
    train_size: int
    """training images, including those held out for validation"""
    test_size: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images and labels of the official training set and of the official test set."""

    name: str
    train_images: np.ndarray
    """`(N, C, H, W)` uint8; C is 1 for grey levels, 3 for red, green and blue; data=npz may have others"""
    train_labels: np.ndarray
    """`(N,)` of an integer type, indices into `class_names`"""
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    sha256: str
    """checksum of all images and labels"""

    @classmethod
    def of(cls, info: DatasetInfo, arrays: Sequence[np.ndarray], sha256: str | None = None) -> Dataset:
        """The data set with this description.

        Args:
            arrays: training images and labels, then test images and labels.
            sha256: default: over the arrays, the image shape and the class names.
        """
        train_images, train_labels, test_images, test_labels = arrays
        return cls(
            name=info.name,
            train_images=train_images,
            train_labels=train_labels,
            test_images=test_images,
            test_labels=test_labels,
            class_names=info.class_names,
            sha256=sha256 or checksum(*arrays, repr((info.image_shape, info.class_names))),
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(C, H, W)`"""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def refuse_more_than_memory(images: int, shape: tuple[int, int, int]) -> None:
    """Raise ConfigError if `images` images `(C, H, W)` uint8 and a copy of them exceed the memory of this machine.

    The limit of a container is not seen.
    """
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # a system without these names
        return
    if 2 * (size := images * math.prod(shape)) > memory:
        raise ConfigError(
            f"data.path: expected at most {memory / 2e9:,.3g} GB of images (they are copied once, and this machine has "
            f"{memory / 1e9:,.3g} GB of memory), got {size / 1e9:,.3g} GB"
        )


def require_as_described(dataset: Dataset, info: DatasetInfo) -> None:
    """Raise ConfigError if `dataset`, from `load`, is not what `describe` announced: a network would learn nonsense."""
    for part, size in (("train", info.train_size), ("test", info.test_size)):
        images, labels = getattr(dataset, f"{part}_images"), getattr(dataset, f"{part}_labels")
        expected, got = ("uint8", (size, *info.image_shape)), (str(images.dtype), tuple(images.shape))
        if got != expected:
            raise ConfigError(
                f"data={info.name}: {part}_images: describe announces {expected[0]} {expected[1]} (N, C, H, W), "
                f"load gives {got[0]} {got[1]}"
            )
        if labels.shape != (size,) or labels.dtype.kind not in "iu":
            raise ConfigError(
                f"data={info.name}: {part}_labels: expected {size} whole numbers, load gives {labels.dtype} "
                f"{tuple(labels.shape)}"
            )
        if size and not 0 <= int(labels.min()) <= int(labels.max()) < len(info.class_names):
            raise ConfigError(
                f"data={info.name}: {part}_labels: expected 0 to {len(info.class_names) - 1}, as describe announces "
                f"{len(info.class_names)} classes, load gives {labels.min()} to {labels.max()}"
            )


def refuse_unusable_names(place: object, names: Sequence[str]) -> None:
    """Raise ConfigError if class names are not distinct, or not printable."""
    for name in names:
        if not name.isprintable() or not name.strip():
            raise ConfigError(f"data.path: {place}: expected printable names of classes, got {name!a}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"data.path: {place}: expected different names of classes, got {twice!r} twice")


def checksum(*parts: np.ndarray | str) -> str:
    """SHA-256 over the concatenation of each array's own SHA-256 and of each text."""
    texts = (part if isinstance(part, str) else hashlib.sha256(part.data).hexdigest() for part in parts)
    return hashlib.sha256("".join(texts).encode()).hexdigest()
