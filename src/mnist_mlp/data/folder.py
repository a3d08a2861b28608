"""Images in folders by class: `<path>/train/<class>/*.png` and `<path>/test/<class>/*.png`.

Validation images are `data.val_size` of those in `train/`; a folder `val/` is refused, as nothing would read it.
The names of the folders are the class names, in alphabetical order. All images must have the size of the first one.
They are read as grey levels if the first one is grey, else as RGB.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.dataset import Dataset, DatasetInfo, refuse_more_than_memory, refuse_unusable_names

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

# Pillow's modes with at most 8 bits per channel. GREY_MODES are read as grey levels, COLOUR_MODES as RGB.
GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")

NOT_READ = ("val", "valid", "validation")

Files = dict[str, list[Path]]
"""The image files of each class. Classes and files are in alphabetical order."""


def describe(data: DataConfig) -> DatasetInfo:
    """Shape, classes and sizes from the names of the files; only the first image is read.

    Raises:
        ConfigError: a folder is missing or has no images, or the first image cannot be read.
    """
    train, test = _parts(data)
    return _info(train, test)


def load(data: DataConfig) -> Dataset:
    """The images and labels of all folders.

    Raises:
        ConfigError: as `describe`, or an image cannot be read, or differs from the first one in size.
    """
    train, test = _parts(data)
    info = _info(train, test)
    _tell_what_is_left_out([*train.values(), *test.values()])
    return Dataset.of(info, [*_read(train, info.image_shape), *_read(test, info.image_shape)])


def _parts(data: DataConfig) -> tuple[Files, Files]:
    """The image files of `train/` and of `test/`.

    Raises:
        ConfigError: a folder is missing, the two have different classes, or there is a third one for validation.
    """
    assert data.path is not None
    root = Path(data.path)
    try:
        for folder in (root, root / "train", root / "test"):
            if not folder.is_dir():
                raise ConfigError(
                    "data.path: expected a folder with train/<class>/ and test/<class>/ in it, "
                    f"there is no folder {folder}"
                )
        for folder in (root / name for name in NOT_READ):
            if folder.is_dir():
                raise ConfigError(
                    f"data.path: expected no folder {folder}, as data.val_size images of train/ are held out for "
                    "validation; move its images into train/<class>/, or the folder elsewhere"
                )
        train, test = _files(root / "train"), _files(root / "test")
    except OSError as error:
        raise ConfigError(f"data.path: {error.filename}: cannot be read: {error.strerror}") from error
    for lacking, having, names in (("train", "test", test.keys() - train), ("test", "train", train.keys() - test)):
        if names:
            folder = root / having / min(names)
            raise ConfigError(
                f"data.path: expected the same classes in train/ and test/, {folder} is not in {lacking}/"
            )
    return train, test


def _files(part: Path) -> Files:
    """The image files of each class in the folder `part`, without hidden files and other suffixes."""
    from mnist_mlp.data.image_file import SUFFIXES

    folders = sorted(folder for folder in part.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if len(folders) < 2:
        raise ConfigError(f"data.path: expected a folder for each of at least two classes in {part}")
    refuse_unusable_names(part, [folder.name for folder in folders])
    files = {}
    for folder in folders:
        files[folder.name] = sorted(path for path in _visible(folder) if path.suffix.lower() in SUFFIXES)
        if not files[folder.name]:
            raise ConfigError(f"data.path: expected images ({', '.join(SUFFIXES)}) in {folder}, found none")
    return files


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _tell_what_is_left_out(classes: Sequence[Sequence[Path]]) -> None:
    """Log a warning for each folder with other files than images; from `load` alone, as `describe` is called often."""
    for paths in classes:
        folder, seen = paths[0].parent, len(_visible(paths[0].parent))
        if others := seen - len(paths):
            log.warning("%s: %d of %d entries left out, as they are no image files by name", folder, others, seen)


def _info(train: Files, test: Files) -> DatasetInfo:
    first = next(iter(train.values()))[0]
    train_size, test_size = (sum(map(len, files.values())) for files in (train, test))
    image = _opened(first)
    channels = 1 if image.mode in GREY_MODES else 3
    shape = channels, image.height, image.width
    refuse_more_than_memory(train_size + test_size, shape)
    return DatasetInfo("folder", shape, tuple(train), train_size, test_size)


def _read(files: Files, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Images `(N, C, H, W)` uint8 and labels `(N,)` int64, in a fixed random order.

    So the first batches have images of every class, for runs with `trainer.limit_val_batches`.
    """
    by_class = np.repeat(np.arange(len(files)), [len(paths) for paths in files.values()])
    order = np.random.default_rng(0).permutation(len(by_class))
    images, labels = np.empty((len(order), *shape), np.uint8), np.empty_like(by_class)
    labels[order] = by_class
    channels, height, width = shape
    for place, path in zip(order, (path for paths in files.values() for path in paths), strict=True):
        image = _opened(path)
        if image.size != (width, height):
            raise ConfigError(
                f"data.path: {path}: expected {width} x {height} pixels, as the first image has, "
                f"got {image.width} x {image.height}"
            )
        if channels == 1 and image.mode not in GREY_MODES:
            raise ConfigError(f"data.path: {path}: expected grey levels, as the first image has, got mode {image.mode}")
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        images[place] = pixels if channels == 1 else pixels.transpose(2, 0, 1)
    return images, labels


def _opened(path: Path) -> Image.Image:
    """The image in a file.

    Raises:
        ConfigError: it cannot be read, is not opaque, or its mode is neither grey nor colour of 8 bits per channel.
    """
    from mnist_mlp.data.image_file import UnreadableError, open_image  # imports Pillow, which MNIST does not need

    try:
        image = open_image(path)
    except UnreadableError as error:
        raise ConfigError(f"data.path: {path}: {error}") from error
    if image.mode not in GREY_MODES + COLOUR_MODES:
        raise ConfigError(f"data.path: {path}: expected 8 bits a channel, got an image of Pillow's mode {image.mode}")
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise ConfigError(f"data.path: {path}: expected an image without transparency; flatten it onto a background")
    return image
