"""Normalisation: the grey level that a network takes as zero, and how many it takes as one unit, for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.split import split

AT_ONCE = 1_000  # images, so that memory stays small


def normalisation(data: DataConfig, dataset: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, `(C,)` each, for grey levels in [0, 1].

    Computed over the training images, those kept apart for validation left out, where `data.mean` or `data.std` is
    null; else as given.
    """
    channels = dataset.image_shape[0]
    mean, std = (_each(value, channels) for value in (data.mean, data.std))
    if mean is None or std is None:
        train, _ = split(dataset.train_labels, data.val_size)
        found_mean, found_std = statistics(dataset.train_images, train)
        mean, std = mean or found_mean, std or found_std
    return mean, std


def statistics(images: np.ndarray, chosen: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of the chosen images; exact, as grey levels are counted first.

    A channel that is the same everywhere has 1 for its deviation, so that dividing by it changes nothing.

    Args:
        images: `(N, C, H, W)` uint8.
        chosen: indices of images.
    """
    counts = np.zeros((images.shape[1], 256), np.int64)  # of each grey level in each channel
    for start in range(0, len(chosen), AT_ONCE):
        part = images[chosen[start : start + AT_ONCE]]
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(part[:, channel].ravel(), minlength=256)
    levels = np.arange(256) / 255
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ levels
    deviation = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1))
    deviation[(counts > 0).sum(axis=1) == 1] = 1
    return tuple(mean.tolist()), tuple(deviation.tolist())


def refuse_unusable_normalisation(data: DataConfig, channels: int) -> None:
    """Raise ConfigError where `data.mean` or `data.std` is neither null, nor a number, nor one for each channel."""
    for key, value in (("data.mean", data.mean), ("data.std", data.std)):
        numbers = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(number, int | float) for number in numbers):
            raise ConfigError(f"{key}: expected a number, a list of one for each channel, or null, got {value!r}")
        if isinstance(value, list) and len(value) != channels:
            raise ConfigError(f"{key}: expected one number for each of the {channels} channels, got {value}")


def _each(value: Any, channels: int) -> tuple[float, ...] | None:
    """A number for each channel, where `data.mean` or `data.std` is given."""
    if value is None:
        return None
    return tuple(float(number) for number in value) if isinstance(value, list) else (float(value),) * channels
