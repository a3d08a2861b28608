"""Job: a configuration to train and the directory for the run. Does not import torch.

Also `even_parts`, which splits a list into parts of nearly equal length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from mnist_mlp.config.schema import Config

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Job:
    config: Config
    directory: Path
    number: int = 0
    """of the job in its sweep"""
    logging: dict[str, Any] | None = None
    """logging configuration of the job for `logging.config.dictConfig`; None: that of the process"""


def even_parts(items: Sequence[Item], parts: int) -> list[list[Item]]:
    """`items` in order, split into `parts` lists whose lengths differ by at most one; none is empty."""
    parts = min(parts, len(items))
    bounds = [len(items) * part // parts for part in range(parts + 1)]
    return [list(items[begin:end]) for begin, end in pairwise(bounds)]
