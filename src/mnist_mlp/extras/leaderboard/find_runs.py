"""Runs, found in the directories that a person names: a run, a sweep, or folders with such somewhere below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnist_mlp.config.errors import ResultError
from mnist_mlp.runs import directories


def find(places: Sequence[Path]) -> list[directories.Run]:
    """The runs meant by `places`, each once.

    Raises:
        ResultError: a place does not exist, or holds no run.
    """
    found: dict[Path, directories.Run] = {}
    for place in places:
        here = list(directories.runs_below(place))
        if not here:
            what = "no run in it" if place.is_dir() else "a file" if place.exists() else "no such directory"
            raise ResultError(f"{place}: expected the directory of a run or of a sweep, got {what}")
        found |= {run.directory.resolve(): run for run in here}
    return list(found.values())
