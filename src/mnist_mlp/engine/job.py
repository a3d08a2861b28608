"""A job: what is to be trained, and where; known without importing torch."""

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
    """of the jobs of a sweep"""
    logging: dict[str, Any] | None = None
    """where the job's own log goes, as `logging.config.dictConfig` takes it; None: where the process logs"""
