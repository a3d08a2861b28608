"""Thinning: what a completed run of a sweep leaves, where ten thousand runs must not leave a hundred thousand files."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from mnist_mlp.runs import directories as runs
from mnist_mlp.runs.ownership import LOCK

KEPT = {
    "best": (runs.RESULT, f"{runs.CHECKPOINTS}/{runs.BEST}"),
    "results": (runs.RESULT,),
}
# All that a run writes; what anybody else has put into its directory stays.
WRITTEN = (*runs.OF_A_JOB, "tensorboard", "csv", "mlflow", "wandb", LOCK)


def thin(directory: Path, keep: str) -> None:
    """Remove what the completed run in `directory` has written, apart from what `sweep.keep` names."""
    if keep == "all":
        return
    kept = {directory / name for name in KEPT[keep]}
    for path in (directory / name for name in WRITTEN):
        if any(path in file.parents for file in kept):
            for inner in path.iterdir():
                if inner not in kept:
                    inner.unlink()
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def told(keep: str, runs_thinned: int) -> str:
    """One line for the end of a sweep."""
    return f"kept             {' and '.join(KEPT[keep])} of {runs_thinned:,} completed jobs (sweep.keep={keep})"
