"""A data set of labelled images in memory, and what is known of it before it is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
