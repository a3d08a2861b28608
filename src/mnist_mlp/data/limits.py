"""Limits in batches, `trainer.limit_*_batches`; without torch, so that a preflight check can use it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from mnist_mlp.config.schema import Config

if TYPE_CHECKING:
    from mnist_mlp.data.loader import Part


def limit_batches(limit: int | float, batches: int) -> int:
    """Batches to use out of `batches`, by Lightning's rule: an int is a number of batches, a float a fraction."""
    return min(limit, batches) if isinstance(limit, int) else int(batches * limit)


def limited_part(part: Part, limit: int | float, config: Config) -> Part:
    """Images and labels of the first batches, limited by `limit` (as `trainer.limit_*_batches`) or `fast_dev_run`."""
    images, labels = part
    batches = ceil(len(images) / config.data.batch_size)
    few = int(config.trainer.fast_dev_run) if config.trainer.fast_dev_run else limit_batches(limit, batches)
    return images[: few * config.data.batch_size], labels[: few * config.data.batch_size]
