"""Directories of runs and sweeps: finding them, and reading the result.json of a run."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import sections
from mnist_mlp.runs import record

log = logging.getLogger(__name__)

RESULT = "result.json"
CHECKPOINTS = "checkpoints"
BEST = "best.ckpt"
# Status of a run.
COMPLETED, FAILED, INTERRUPTED, MISSING = "completed", "failed", "interrupted", "no result"
# Files that mark a sweep: ours, and Hydra's. Sweeps of older versions have only Hydra's.
SWEEP_MARKERS = (record.SWEEP, "multirun.yaml")
# A directory with one of these holds a run, even without result.json, as after a kill.
RUN_MARKERS = (record.RUN, ".hydra", CHECKPOINTS, "train.log")


@dataclass(frozen=True, kw_only=True)
class Run:
    directory: Path
    result: dict[str, Any]
    """content of result.json; empty if it is missing or cannot be used"""
    damage: str | None = None
    """why result.json cannot be used; None if it can, or if there is none"""

    @property
    def status(self) -> str:
        return str(self.result.get("status") or MISSING)


def read(directory: Path) -> Run:
    """The run in `directory`; one without a usable result has the status MISSING, which is not an error."""
    try:
        result = json.loads((directory / RESULT).read_text("utf-8"))
        _refuse_other_kinds(result)
        record.refuse_later_version(result, directory / RESULT)
    except (FileNotFoundError, NotADirectoryError):
        return Run(directory=directory, result={})
    except (OSError, ValueError, TypeError, ConfigError) as error:
        return Run(directory=directory, result={}, damage=f"{RESULT} cannot be used: {error}")
    return Run(directory=directory, result=result)


# Kinds of the parts of result.json. Each part may be missing or null, as in a result of an older version.
PARTS = {
    **dict.fromkeys(("status", "error", "git", "data_sha256"), str),
    **dict.fromkeys(("seed", "parameters", "epochs", "best_epoch"), int),
    **dict.fromkeys(("config", "metrics", "seconds", "versions"), dict),
    "history": list,
}
NAMES = {str: "a text", int: "a whole number", dict: "an object", list: "a list"}


def _refuse_other_kinds(result: Any) -> None:
    """Raise TypeError if a part of `result` is of another kind than training writes; readers rely on the kinds."""
    _require(RESULT, result, dict)
    for name, kind in PARTS.items():
        _require(name, result.get(name), kind, or_null=True)
    for section in sections():
        _require(f"config.{section}", (result.get("config") or {}).get(section), dict, or_null=True)
    for name, value in (result.get("metrics") or {}).items():
        _require_number(f"metrics.{name}", value, or_null=True)
    for name, value in (result.get("seconds") or {}).items():
        _require_number(f"seconds.{name}", value)
    for number, row in enumerate(result.get("history") or ()):
        _require(f"history.{number}", row, dict)
        _require(f"history.{number}.epoch", row.get("epoch"), int)
        for name, value in row.items():
            _require_number(f"history.{number}.{name}", value, or_null=True)


def _require(name: str, value: Any, kind: type, *, or_null: bool = False) -> None:
    if not (type(value) is kind or (or_null and value is None)):  # a bool is an int for `isinstance`
        raise TypeError(f"{name}: expected {NAMES[kind]}, got {json.dumps(value)[:40]}")


def _require_number(name: str, value: Any, *, or_null: bool = False) -> None:
    finite = type(value) in (int, float) and abs(value) <= sys.float_info.max
    if not (finite or (or_null and value is None)):
        raise TypeError(f"{name}: expected a number, got {json.dumps(value)[:40]}")


def has_begun(directory: Path) -> bool:
    """Whether a run has trained in `directory`, or has ended there."""
    return (directory / RESULT).exists() or (directory / CHECKPOINTS).exists()


def is_sweep(directory: Path) -> bool:
    return any((directory / name).is_file() for name in SWEEP_MARKERS)


def jobs(sweep_directory: Path) -> list[Run]:
    """The jobs of a sweep in the order of their numbers, including those that have not begun.

    Raises:
        ConfigError: as `record.read_sweep`.
    """
    sweep = record.read_sweep(sweep_directory)
    if sweep is not None and sweep.jobs is not None:
        return [read(sweep_directory / job.directory) for job in sweep.jobs]
    # No list of jobs: the sweeper chose them one by one, or the sweep is of an older version.
    return [job for folder in _folders(sweep_directory) for job in _jobs_without_record(folder)]


def _jobs_without_record(place: Path) -> Iterator[Run]:
    inside = {path.name for path in place.iterdir()}
    if not inside or inside & {RESULT, *RUN_MARKERS}:
        yield read(place)
    else:  # hydra.sweep.subdir has several levels
        for folder in _folders(place):
            yield from _jobs_without_record(folder)


def runs_below(place: Path) -> Iterator[Run]:
    """All runs in `place` or below it, including jobs of a sweep that have not begun.

    Links are followed, each directory is visited once, and nothing inside of a run is a run. A sweep whose record
    cannot be read is a folder as any other, with a warning.
    """
    yield from _below(place, set())


def _below(place: Path, seen: set[Path]) -> Iterator[Run]:
    real = place.resolve()
    if real in seen:
        return
    seen.add(real)
    if (of_sweep := _jobs_or_none(place)) is not None:
        for job in of_sweep:
            seen.add(job.directory.resolve())
            yield job
    elif (place / RESULT).is_file() or (place / record.RUN).is_file():
        yield read(place)
    else:
        for folder in _folders(place):
            yield from _below(folder, seen)


def _jobs_or_none(place: Path) -> list[Run] | None:
    """The jobs of the sweep in `place`; None if there is none, or if its record cannot be read."""
    if not is_sweep(place):
        return None
    try:
        return jobs(place)
    except ConfigError as error:
        _warn(f"{error}; runs below this folder are taken one by one")
        return None


@cache
def _warn(message: str) -> None:
    """Log a warning, each message once: a command may look for runs several times."""
    log.warning(message)


def _folders(place: Path) -> list[Path]:
    """The folders in `place` that are not hidden, sorted: numbers first, in numerical order."""
    try:
        # Not `entry.is_dir()`, which raises for a link that leads to itself.
        folders = [Path(entry.path) for entry in os.scandir(place) if entry.name[0] != "." and os.path.isdir(entry)]
    except OSError:  # not a folder, or no permission
        return []
    return sorted(folders, key=lambda path: (not path.name.isdecimal(), len(path.name), path.name))


shell_directory: Path | None = None
"""Directory in which the user typed the command. It differs from the current directory under hydra.job.chdir=true.

None: use the current directory.
"""


def shown(path: Path) -> Path:
    """`path` for printing: relative to the directory in which it will be pasted, if it is below."""
    here = shell_directory or Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
