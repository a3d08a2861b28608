"""Split of the official training images into training and validation, stratified by class."""

from __future__ import annotations

import numpy as np

# A fixed seed: runs with different seeds use the same validation images.
SPLIT_SEED = 2024


def split(labels: np.ndarray, val_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and of validation images, each in ascending order.

    The split is stratified: every class contributes its share of `val_size`, rounded by the largest remainders, and
    keeps at least one image for training. A class with few images may contribute none.

    Args:
        labels: `(N,)` of an integer type.
        val_size: at most N less the number of classes.
    """
    generator = np.random.default_rng(SPLIT_SEED)
    classes, counts = np.unique(labels, return_counts=True)
    assert 0 <= val_size <= len(labels) - len(classes)
    shares = counts * val_size / len(labels)
    take = np.floor(shares).astype(int)
    by_remainder = np.argsort(take - shares, kind="stable")
    while (left := val_size - take.sum()) > 0:
        with_room = by_remainder[take[by_remainder] < counts[by_remainder] - 1]
        take[with_room[:left]] += 1
    chosen = [
        generator.permutation(np.flatnonzero(labels == label))[:number]
        for label, number in zip(classes, take, strict=True)
    ]
    val = np.sort(np.concatenate(chosen))
    return np.setdiff1d(np.arange(len(labels)), val, assume_unique=True), val
