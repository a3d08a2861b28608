"""A data set of labelled images in memory, and what is known of it before it is read."""

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
    """Training images, those kept apart for validation included."""
    test_size: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set in memory, the test images kept apart."""

    name: str
    train_images: np.ndarray
    """`(N, C, H, W)` uint8; C is 1 for grey levels and 3 for red, green and blue."""
    train_labels: np.ndarray
    """`(N,)` of an integer type, indices into `class_names`."""
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    sha256: str
    """Checksum of the data: the same data have the same one."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(C, H, W)`"""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def refuse_more_than_memory(images: int, shape: tuple[int, int, int]) -> None:
    """Raise ConfigError where so many images `(C, H, W)` uint8, and a copy of them, do not fit into this machine."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # a system that does not say
        return
    if 2 * (size := images * math.prod(shape)) > memory:
        raise ConfigError(
            f"data.path: expected images that fit twice into {memory / 1e9:.0f} GB of memory, got {size / 1e9:,.0f} GB"
        )


def refuse_unusable_names(place: object, names: Sequence[str]) -> None:
    """Raise ConfigError where the names of classes cannot be told apart, or cannot be printed."""
    for name in names:
        if not name.isprintable() or not name.strip():
            raise ConfigError(f"data.path: {place}: expected printable names of classes, got {name!a}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"data.path: {place}: expected different names of classes, got {twice!r} twice")


def checksum(*parts: np.ndarray | str) -> str:
    """SHA-256 of the SHA-256 of each array's values, and of the words beside them."""
    words = (part if isinstance(part, str) else hashlib.sha256(part.data).hexdigest() for part in parts)
    return hashlib.sha256("".join(words).encode()).hexdigest()
