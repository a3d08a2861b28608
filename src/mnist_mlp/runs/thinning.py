"""Thinning of a completed run: deletes all files but those of `sweep.keep`, for sweeps of thousands of runs."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mnist_mlp.runs import directories
from mnist_mlp.runs.checkpoint_file import BEST, LAST
from mnist_mlp.runs.directory_lock import LOCK
from mnist_mlp.runs.record import read_run

# Files and folders that a run writes, besides result.json. Other files in the run directory are kept. Inside these
# folders every file is deleted that `kept` does not name.
WRITTEN = (*directories.RUN_MARKERS, "tensorboard", "csv", "mlflow", "wandb", LOCK)
PLAIN_NAME = re.compile(r"\.?\w[\w.-]*")


def thin(directory: Path, keep: str) -> None:
    """Delete what the run in `directory` has written, except for the files that `kept` names."""
    if keep == "all":
        return
    spared = {directory / name for name in kept(directory, keep)}
    for path in (directory / name for name in (*WRITTEN, *_written_by_hydra(directory))):
        if any(path in file.parents for file in spared):
            for inner in path.iterdir():
                if inner not in spared:
                    _delete(inner)
        else:
            _delete(path)


def kept(directory: Path, keep: str) -> tuple[str, ...]:
    """The files that a run keeps: with `best` also its last checkpoint if there is no best one.

    Without validation no checkpoint is the best, and the last one has the only weights.
    """
    checkpoints = [f"{directories.CHECKPOINTS}/{name}" for name in (BEST, LAST)] if keep == "best" else []
    there = [name for name in checkpoints if (directory / name).is_file()]
    return (directories.RESULT, *there[:1])


def _written_by_hydra(directory: Path) -> list[str]:
    """Hydra's folder and log file in a run directory, where hydra.output_subdir and hydra.job.name give other names."""
    record = read_run(directory)
    given = [override.partition("=") for override in (record.command.hydra if record and record.command else ())]
    suffixes = {"hydra.output_subdir": "", "hydra.job.name": ".log"}
    # Plain names alone: Hydra would take `..` or a path as well, and what lies there is not ours to delete.
    return [
        f"{value}{suffixes[key]}"
        for key, _, value in given
        if key in suffixes and PLAIN_NAME.fullmatch(value) and value != "null"
    ]


def _delete(path: Path) -> None:
    """Delete a file or folder if possible; a completed run does not fail because of it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def summary_line(keep: str, thinned: Iterable[Path], what: str = "completed run") -> str:
    """Line for the end of a sweep or a search, with the files that `sweep.keep` has kept of the thinned runs."""
    runs = Counter(kept(directory, keep) for directory in thinned) or {(directories.RESULT,): 0}
    counts = [
        f"{' and '.join(files)} of {count:,} {what}{'' if count == 1 else 's'}" for files, count in sorted(runs.items())
    ]
    return f"kept             {', '.join(counts)} (sweep.keep={keep})"
