"""Thinning of a completed run: deletes all files but those of `sweep.keep`, for sweeps of thousands of runs."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

from mnist_mlp.runs import directories
from mnist_mlp.runs.directory_lock import LOCK
from mnist_mlp.runs.record import read_run

KEPT = {
    "best": (directories.RESULT, f"{directories.CHECKPOINTS}/{directories.BEST}"),
    "results": (directories.RESULT,),
}
# Files and folders that a run writes, besides result.json. Other files in the run directory are kept. Inside these
# folders every file is deleted that `KEPT` does not name.
WRITTEN = (*directories.RUN_MARKERS, "tensorboard", "csv", "mlflow", "wandb", LOCK)
PLAIN_NAME = re.compile(r"\.?\w[\w.-]*")


def thin(directory: Path, keep: str) -> None:
    """Delete what the completed run in `directory` has written, except for the files of `KEPT[keep]`."""
    if keep == "all":
        return
    kept = {directory / name for name in KEPT[keep]}
    for path in (directory / name for name in (*WRITTEN, *_written_by_hydra(directory))):
        if any(path in file.parents for file in kept):
            for inner in path.iterdir():
                if inner not in kept:
                    _delete(inner)
        else:
            _delete(path)


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


def summary_line(keep: str, runs_thinned: int) -> str:
    """Line for the end of a sweep, with the files that `sweep.keep` has kept."""
    return f"kept             {' and '.join(KEPT[keep])} of {runs_thinned:,} completed runs (sweep.keep={keep})"
