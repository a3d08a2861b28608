"""Changing the size of a map, defined precisely enough to be written again in another language."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]


def resample(values: Map, shape: tuple[int, int]) -> Map:
    """Values (H, W) at a new shape (h, w): averaged along an axis that shrinks, interpolated where it grows."""
    for length in shape:  # the rows and a transposition, twice: the second time the rows are the columns
        values = resample_rows(values, length).T
    return values


def resample_rows(values: Map, after: int) -> Map:
    """Values (H, W) with `after` rows."""
    before = values.shape[0]
    if before == after:
        return values
    scale = before / after
    if scale < 1:
        return interpolate_cubic(values, (np.arange(after) + 0.5) * scale - 0.5)
    # The mean over the stretch that each new row covers: the running total at its end less that at its start.
    total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    mean: Map = np.diff(interpolate_linear(total, np.arange(after + 1) * scale), axis=0) / np.float32(scale)
    return mean


def interpolate_linear(values: Map, positions: NDArray[np.float64]) -> Map:
    """Values (H, W) read at fractional rows, on the straight line between neighbours."""
    below = np.minimum(positions.astype(np.intp), values.shape[0] - 1)
    above = np.minimum(below + 1, values.shape[0] - 1)
    t = (positions - below).astype(np.float32)[:, None]
    read: Map = values[below] * (1 - t) + values[above] * t
    return read


def interpolate_cubic(values: Map, positions: NDArray[np.float64]) -> Map:
    """Values (H, W) read at fractional rows, on Catmull and Rom's cubic through four neighbours.

    Straight lines would blur the strokes of a small digit. Beyond the first and the last row their values are repeated.
    """
    below = np.floor(positions).astype(np.intp)
    t = (positions - below).astype(np.float32)[:, None]
    tap_weights = (
        t * (-1 + t * (2 - t)) / 2,
        (2 + t * t * (3 * t - 5)) / 2,
        t * (1 + t * (4 - 3 * t)) / 2,
        t * t * (t - 1) / 2,
    )
    taps = (np.clip(below + k, 0, values.shape[0] - 1) for k in (-1, 0, 1, 2))
    out = np.zeros((len(below), values.shape[1]), np.float32)
    for weight, tap in zip(tap_weights, taps, strict=True):
        out += weight * values[tap]
    return out
