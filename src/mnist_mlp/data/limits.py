"""Limits in batches, known without importing torch."""

from __future__ import annotations


def limited(limit: int | float, batches: int) -> int:
    """Lightning's rule for `limit_*_batches`: an int counts batches, a float is a share of them."""
    return min(limit, batches) if isinstance(limit, int) else int(batches * limit)
