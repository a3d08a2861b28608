"""Job: a configuration to train and the directory for the run. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_mlp.config.schema import Config


@dataclass(frozen=True, kw_only=True)
class Job:
    config: Config
    directory: Path
    number: int = 0
    """of the job in its sweep"""
    logging: dict[str, Any] | None = None
    """logging configuration of the job for `logging.config.dictConfig`; None: that of the process"""
