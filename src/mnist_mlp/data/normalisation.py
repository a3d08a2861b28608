"""Normalisation: mean and standard deviation of each channel, given in the configuration or computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.split import split

IMAGES_AT_ONCE = 1_000  # keeps memory small


def normalisation(data: DataConfig, dataset: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, `(C,)` each, for grey levels in [0, 1].

    Where `data.mean` or `data.std` is null, it is computed over the training images without the validation images.
    """
    channels = dataset.image_shape[0]
    mean, std = _per_channel(data.mean, channels), _per_channel(data.std, channels)
    if mean is None or std is None:
        train, _ = split(dataset.train_labels, data.val_size)
        found_mean, found_std = channel_statistics(dataset.train_images, train)
        mean, std = mean or found_mean, std or found_std
    return mean, std


def given_normalisation(data: DataConfig, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`data.mean` and `data.std`, `(C,)` each.

    Raises:
        ConfigError: one of them is null.
    """
    mean, std = _per_channel(data.mean, channels), _per_channel(data.std, channels)
    if mean is None or std is None:
        key = "data.mean" if mean is None else "data.std"
        raise ConfigError(
            f"{key}: expected a number, as the images of data={data.name} are not all in memory, got null"
        )
    return mean, std


def channel_statistics(images: np.ndarray, chosen: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over the images at the indices `chosen`, in [0, 1].

    Computed from the histogram of grey levels, so without accumulated rounding. A constant channel has the standard
    deviation 1, so that dividing by it changes nothing.

    Args:
        images: `(N, C, H, W)` uint8.
        chosen: indices of images.
    """
    counts = np.zeros((images.shape[1], 256), np.int64)  # histogram of each channel
    for start in range(0, len(chosen), IMAGES_AT_ONCE):
        part = images[chosen[start : start + IMAGES_AT_ONCE]]
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(part[:, channel].ravel(), minlength=256)
    levels = np.arange(256) / 255
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ levels
    deviation = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1))
    deviation[(counts > 0).sum(axis=1) == 1] = 1
    return tuple(mean.tolist()), tuple(deviation.tolist())


def refuse_unusable_normalisation(data: DataConfig, channels: int) -> None:
    """Raise ConfigError if `data.mean` or `data.std` is neither null, nor a number, nor one number per channel."""
    for key, value in (("data.mean", data.mean), ("data.std", data.std)):
        numbers = value if isinstance(value, list) else [value]
        if value is not None and not all(type(number) in (int, float) for number in numbers):
            raise ConfigError(f"{key}: expected a number, a list of one for each channel, or null, got {value!r}")
        if isinstance(value, list) and len(value) != channels:
            raise ConfigError(f"{key}: expected one number for each of the {channels} channels, got {value}")


def _per_channel(value: Any, channels: int) -> tuple[float, ...] | None:
    """`data.mean` or `data.std` as one number per channel; None for null."""
    if value is None:
        return None
    return tuple(float(number) for number in value) if isinstance(value, list) else (float(value),) * channels
