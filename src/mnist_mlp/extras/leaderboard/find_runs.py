"""Runs, found in the directories that a person names: a run, a sweep, or folders with such somewhere below."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mnist_mlp.config.errors import ResultError
from mnist_mlp.runs import directories as runs

SWEEP = "multirun.yaml"
OF_A_JOB = (".hydra", runs.CHECKPOINTS, "train.log")
"""What a job that was killed leaves in its directory, however the directory is named."""


def find(places: Sequence[Path]) -> list[runs.Run]:
    """The runs meant by `places`, each once.

    Raises:
        ResultError: a place does not exist, or holds no run.
    """
    found: dict[Path, runs.Run] = {}
    for place in places:
        here = list(_below(place))
        if not here:
            what = "no run in it" if place.is_dir() else "no such directory"
            raise ResultError(f"{place}: expected the directory of a run or of a sweep, got {what}")
        found |= {run.directory.resolve(): run for run in here}
    return list(found.values())


def _below(place: Path, *, in_sweep: bool = False) -> Iterator[runs.Run]:
    """A directory with a result is a run; in a sweep, so is one where a job began and left none."""
    try:
        entries = {entry.name: entry for entry in os.scandir(place)}
    except OSError:
        return
    is_sweep = SWEEP in entries
    empty_job = in_sweep and (not entries or any(name in entries for name in OF_A_JOB))
    if runs.RESULT in entries or (empty_job and not is_sweep):
        yield runs.read(place)
        return
    folders = [entry for name, entry in entries.items() if entry.is_dir() and not name.startswith(".")]
    for folder in sorted(folders, key=lambda entry: _in_order(entry.name)):
        yield from _below(Path(folder.path), in_sweep=in_sweep or is_sweep)


def _in_order(name: str) -> tuple[bool, int, str]:
    """Jobs by number, then everything else by name."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
