"""Limits in batches, `trainer.limit_*_batches`; without torch, so that a preflight check can use it."""

from __future__ import annotations


def limit_batches(limit: int | float, batches: int) -> int:
    """Batches to use out of `batches`, by Lightning's rule: an int is a number of batches, a float a fraction."""
    return min(limit, batches) if isinstance(limit, int) else int(batches * limit)
