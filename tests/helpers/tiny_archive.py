"""A data set of eight images in the four files that MNIST has."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.download import Archive
from mnist_mlp.data.idx import IdxFile
from mnist_mlp.data.mnist import IdxSource

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

_random = np.random.default_rng(0)
ARRAYS = [
    _random.integers(256, size=(6, 28, 28), dtype=np.uint8),
    np.arange(6, dtype=np.uint8),
    _random.integers(256, size=(2, 28, 28), dtype=np.uint8),
    np.arange(2, dtype=np.uint8),
]


def idx(array: np.ndarray) -> bytes:
    """Written from the format's description, not with the code under test."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


FILES = {name: idx(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
IMAGES = NAMES[0]


def write(folder: Path, ending: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (folder / f"{name}{ending}").write_bytes(gzip.compress(content) if ending else content)
    return folder


def archive(**sources: Callable[[Path], Path]) -> IdxSource:
    files = tuple(
        IdxFile(name, array.shape, hashlib.sha256(FILES[name]).hexdigest())
        for name, array in zip(NAMES, ARRAYS, strict=True)
    )
    return IdxSource(Archive("tiny", "Tiny", files, sources), class_names=tuple("012345"))


def assert_whole(dataset: Dataset) -> None:
    assert dataset.train_images.shape == (6, 1, 28, 28) and dataset.image_shape == (1, 28, 28)
    found = dataset.train_images[:, 0], dataset.train_labels, dataset.test_images[:, 0], dataset.test_labels
    for array, expected in zip(found, ARRAYS, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.uint8


def in_place(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "tiny").iterdir()}
