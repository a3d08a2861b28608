"""NPZ files, written by `numpy.savez`: images and labels of training and test, and the class names.

    train_images  (N, H, W) or (N, C, H, W) uint8      test_images  the same
    train_labels  (N,) integers from 0                 test_labels  the same
    class_names   (classes,) text, optional

Nothing is unpickled. The headers are read and checked before any array is decompressed.
"""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.dataset import Dataset, DatasetInfo, refuse_more_than_memory, refuse_unusable_names

PARTS = ("train", "test")
Header = tuple[tuple[int, ...], np.dtype]
"""Shape and dtype of an array."""


def describe(data: DataConfig) -> DatasetInfo:
    """Shape, classes and sizes from the headers and the labels; no image is read.

    Raises:
        ConfigError: there is no such file, or an array is missing, or has a wrong shape, dtype or label.
    """
    assert data.path is not None
    path = Path(data.path)
    with _reading(path) as archive:
        headers = {name: _header(archive, name) for name in _names(archive)}
        shape = _image_shape(path, headers)
        refuse_more_than_memory(sum(headers[f"{part}_images"][0][0] for part in PARTS), shape)
        labels = [_labels(path, archive, headers, part) for part in PARTS]
        class_names = _class_names(path, archive, headers, labels)
    return DatasetInfo("npz", shape, class_names, train_size=len(labels[0]), test_size=len(labels[1]))


def load(data: DataConfig) -> Dataset:
    """The arrays of the file.

    Raises:
        ConfigError: as `describe`, or the file is damaged.
    """
    info = describe(data)
    assert data.path is not None
    with _reading(Path(data.path)) as archive:
        arrays = []
        for part in PARTS:
            images = _array(archive, f"{part}_images")
            arrays += [images.reshape(-1, *info.image_shape), _array(archive, f"{part}_labels").astype(np.int64)]
    return Dataset.of(info, arrays)


@contextmanager
def _reading(path: Path) -> Iterator[zipfile.ZipFile]:
    """The open file; an error while reading it in the block becomes a ConfigError of one line."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe or a device would be read without end
            raise FileNotFoundError
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise ConfigError(f"data.path: there is no file {path}") from None
    except OSError as error:
        raise ConfigError(f"data.path: {path}: cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError) as error:
        raise ConfigError(f"data.path: {path}: expected a whole file of numpy.savez ({error})") from error


def _names(archive: zipfile.ZipFile) -> list[str]:
    """The names of the arrays in the file: the four required ones, and `class_names` if it is there.

    Raises:
        ConfigError: a required array is missing.
    """
    found = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    needed = [f"{part}_{what}" for part in PARTS for what in ("images", "labels")]
    if missing := [name for name in needed if name not in found]:
        raise ConfigError(
            f"data.path: {archive.filename}: expected the arrays {', '.join(needed)}, found no {', '.join(missing)}"
        )
    return [*needed, *({"class_names"} & found)]


def _header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        size = stream.tell() + math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and size != archive.getinfo(f"{name}.npy").file_size:
            raise ValueError(f"{name} has another size than its header says")
    return shape, dtype


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array, in C order and writable, as `torch.from_numpy` requires."""
    with archive.open(f"{name}.npy") as stream:
        return np.require(np.lib.format.read_array(stream, allow_pickle=False), requirements=["C", "W"])


def _image_shape(path: Path, headers: dict[str, Header]) -> tuple[int, int, int]:
    """Image shape `(C, H, W)`, the same for training and test.

    Raises:
        ConfigError: they differ, or are not images `(N, H, W)` or `(N, C, H, W)` uint8.
    """
    shapes = []
    for part in PARTS:
        shape, dtype = headers[f"{part}_images"]
        if dtype != np.uint8 or len(shape) not in (3, 4) or 0 in shape:
            raise ConfigError(
                f"data.path: {path}: {part}_images: expected (N, H, W) or (N, C, H, W) uint8, "
                f"got {_shape_text(shape)} {dtype}"
            )
        if len(shape) == 4 and shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4):
            raise ConfigError(
                f"data.path: {path}: {part}_images: expected (N, C, H, W), got {_shape_text(shape)}, which looks like "
                f"(N, H, W, C); write {part}_images.transpose(0, 3, 1, 2)"
            )
        shapes.append(shape[1:] if len(shape) == 4 else (1, *shape[1:]))
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"data.path: {path}: expected training and test images of one shape, "
            f"got {' and '.join(map(_shape_text, shapes))}"
        )
    channels, height, width = shapes[0]
    return channels, height, width


def _labels(path: Path, archive: zipfile.ZipFile, headers: dict[str, Header], part: str) -> np.ndarray:
    name, images = f"{part}_labels", headers[f"{part}_images"][0][0]
    shape, dtype = headers[name]
    if dtype.kind not in "iu" or shape != (images,):
        raise ConfigError(
            f"data.path: {path}: {name}: expected a whole number for each of the {images} images, "
            f"got {_shape_text(shape)} {dtype}"
        )
    return _array(archive, name)


def _class_names(
    path: Path, archive: zipfile.ZipFile, headers: dict[str, Header], labels: list[np.ndarray]
) -> tuple[str, ...]:
    """Class names: those in the file, or else the labels as text.

    Raises:
        ConfigError: a label is outside of the classes, or a class has no image in training or in test.
    """
    names = None
    if "class_names" in headers:
        shape, dtype = headers["class_names"]
        if dtype.kind != "U" or len(shape) != 1:
            raise ConfigError(
                f"data.path: {path}: class_names: expected a list of texts, as numpy.array(['cat', 'dog']), "
                f"got {_shape_text(shape)} {dtype}"
            )
        names = tuple(_array(archive, "class_names").tolist())
        refuse_unusable_names(f"{path}: class_names", names)
    classes = len(np.unique(labels[0])) if names is None else len(names)
    if classes < 2:
        name = "train_labels" if names is None else "class_names"
        raise ConfigError(f"data.path: {path}: {name}: expected at least two classes, got {classes}")
    for part, values in zip(PARTS, labels, strict=True):
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= classes:
            raise ConfigError(
                f"data.path: {path}: {part}_labels: expected 0 to {classes - 1}, one of the {classes} classes, "
                f"got {low if low < 0 else high}; labels are 0, 1, 2, ... without a gap"
            )
        if len(found := np.unique(values)) < classes:
            missing = np.setdiff1d(np.arange(classes), found)[0]
            raise ConfigError(f"data.path: {path}: {part}_labels: expected images of every class, none is of {missing}")
    return names or tuple(map(str, range(classes)))


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
