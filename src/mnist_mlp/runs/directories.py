"""What runs leave behind: where they lie, and what their result.json says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULT = "result.json"
CHECKPOINTS = "checkpoints"
# The order in which a job of a sweep is told: what it did, or that it left no word.
COMPLETED, FAILED, INTERRUPTED, MISSING = "completed", "failed", "interrupted", "no result"


@dataclass(frozen=True, kw_only=True)
class Run:
    directory: Path
    result: dict[str, Any]
    """The content of result.json; empty where there is none, or none that can be read."""

    @property
    def status(self) -> str:
        return str(self.result.get("status", MISSING))


def read(directory: Path) -> Run:
    """The run in `directory`; a job that was killed leaves no result, which is no error here."""
    try:
        result = json.loads((directory / RESULT).read_text())
    except (OSError, ValueError):
        result = {}
    return Run(directory=directory, result=result if isinstance(result, dict) else {})


def jobs(sweep_directory: Path) -> list[Run]:
    """The jobs of a sweep, in the order of their numbers."""
    numbered = [path for path in sweep_directory.iterdir() if path.is_dir() and path.name.isdigit()]
    return [read(path) for path in sorted(numbered, key=lambda path: int(path.name))]


def shown(path: Path) -> Path:
    """As a person would name it: relative to where they stand, if it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
