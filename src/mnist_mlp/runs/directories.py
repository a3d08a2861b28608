"""Directories of runs and sweeps: how they are found, and what the result.json of a run says."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs import record

RESULT = "result.json"
CHECKPOINTS = "checkpoints"
BEST = "best.ckpt"
# The order in which a job of a sweep is told: what it did, or that it left no word.
COMPLETED, FAILED, INTERRUPTED, MISSING = "completed", "failed", "interrupted", "no result"
# What a sweep leaves in its directory at its start: ours, and Hydra's, which older versions left alone.
OF_A_SWEEP = (record.SWEEP, "multirun.yaml")
# What a job that was killed leaves in its directory, however that is named.
OF_A_JOB = (record.RUN, ".hydra", CHECKPOINTS, "train.log")


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
        result = json.loads((directory / RESULT).read_text("utf-8"))
        record.refuse_later_version(result, directory / RESULT)
    except (OSError, ValueError, ConfigError, AttributeError, TypeError):
        result = {}
    return Run(directory=directory, result=result if isinstance(result, dict) else {})


def is_sweep(directory: Path) -> bool:
    return any((directory / name).is_file() for name in OF_A_SWEEP)


def jobs(sweep_directory: Path) -> list[Run]:
    """The jobs of a sweep, in the order of their numbers, those among them that never began.

    Raises:
        ConfigError: as `record.read_sweep`.
    """
    sweep = record.read_sweep(sweep_directory)
    if sweep is not None and sweep.jobs is not None:
        return [read(sweep_directory / job.directory) for job in sweep.jobs]
    # Its sweeper chose them one after the other, or an older version left no record.
    return [job for folder in _folders(sweep_directory) for job in _jobs_without_record(folder)]


def _jobs_without_record(place: Path) -> Iterator[Run]:
    inside = {path.name for path in place.iterdir()}
    if not inside or inside & {RESULT, *OF_A_JOB}:
        yield read(place)
    else:  # the names of its jobs have several parts
        for folder in _folders(place):
            yield from _jobs_without_record(folder)


def runs_below(place: Path) -> Iterator[Run]:
    """Every run in `place` or below it, however the folders are named; of a sweep, the jobs that never began too.

    Links are followed, each directory is looked at once, and what lies inside of a run is no run.

    Raises:
        ConfigError: as `record.read_sweep`.
    """
    yield from _below(place, set())


def _below(place: Path, seen: set[Path]) -> Iterator[Run]:
    real = place.resolve()
    if real in seen:
        return
    seen.add(real)
    if is_sweep(place):
        for job in jobs(place):
            seen.add(job.directory.resolve())
            yield job
    elif (place / RESULT).is_file() or (place / record.RUN).is_file():
        yield read(place)
    else:
        for folder in _folders(place):
            yield from _below(folder, seen)


def _folders(place: Path) -> list[Path]:
    """The folders in `place` that are not hidden: numbers in their order, then names."""
    try:
        folders = [Path(entry.path) for entry in os.scandir(place) if entry.is_dir() and entry.name[0] != "."]
    except OSError:  # no folder, or one that nobody may look into
        return []
    return sorted(folders, key=lambda path: (not path.name.isdecimal(), len(path.name), path.name))


def shown(path: Path) -> Path:
    """As a person would name it: relative to where they stand, if it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
