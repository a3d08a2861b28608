"""Newest run: the default of commands that need a checkpoint; of a sweep, its best run."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from pathlib import Path
from typing import Any

from mnist_mlp.config.schema import PROJECT
from mnist_mlp.runs.checkpoint_file import BEST, LAST
from mnist_mlp.runs.directories import CHECKPOINTS, COMPLETED, RESULT, Run, is_sweep, read, runs_below, shown
from mnist_mlp.runs.metric_text import metric_text
from mnist_mlp.runs.monitored import ACCURACY, monitored, monitored_by_all, test_result

OUTPUTS = PROJECT / "outputs"
STUDY = "journal.log"
"""file of a search, beside the directories of its trials"""


def newest_or_best(outputs: Path) -> Run | None:
    """The completed run below `outputs` with the latest result; if it belongs to a sweep or a search, its best run.

    Runs without a checkpoint are passed over. None if no run is left.
    """
    runs = [run for run in runs_below(outputs) if _usable(run)]
    if not runs:
        return None
    newest = max(runs, key=_written)
    sweep = sweep_of(newest.directory, outputs)
    return best(run for run in runs_below(sweep) if _usable(run)) if sweep else newest


def best(runs: Iterable[Run]) -> Run:
    """The best run by the metric that all runs monitored (accuracy if they differ); ties: the lower val/loss."""
    found = list(runs)
    metric, mode = monitored_by_all(found)
    sign = 1 if mode == "max" else -1
    return max(found, key=lambda run: (sign * _metric(run, metric, -sign * inf), -_metric(run, "val/loss", inf)))


def sweep_of(directory: Path, outputs: Path) -> Path | None:
    """The directory, at or below `outputs`, of the sweep or search to which the run in `directory` belongs."""
    above = [path for path in directory.parents if path.is_relative_to(outputs)]
    return next((path for path in above if is_sweep(path) or (path / STUDY).is_file()), None)


def remarks(checkpoint: Path, outputs: Path) -> list[str]:
    """Remarks for the user on the selected run: which it is, what it reached, and whether it was a quick try."""
    directory = checkpoint.parent.parent
    run, sweep = read(directory), sweep_of(directory, outputs)
    words = ["the newest completed run"]
    config, metrics = run.result.get("config") or {}, run.result.get("metrics") or {}
    decided = monitored(config)[0]
    value = metrics.get(decided)
    if sweep is not None:
        kind = "search" if (sweep / STUDY).is_file() else "sweep"
        words = [f"the {'first' if value is None else 'best'} of the newest {kind}, {sweep.name}"]
    if later := _later_without_checkpoint(sweep or directory, outputs):
        others = f" and {len(later) - 1:,} more" if len(later) > 1 else ""
        words.append(f"newer, but without a checkpoint: {shown(later[-1].directory)}{others}")
    if checkpoint.name == LAST:
        words.append("its last checkpoint: there is no best one")
    if value is not None:
        words.append(f"{'validation' if decided == ACCURACY else decided} {metric_text(decided, value)}")
    tested = test_result(config, metrics)
    words.append("not tested" if tested is None else f"{tested[0].removesuffix('/acc')} {metric_text(*tested)}")
    trainer: dict[str, Any] = config.get("trainer") or {}
    all_batches = repr(trainer.get("limit_train_batches", 1.0)) == "1.0"  # 1 is one batch
    if not all_batches or trainer.get("overfit_batches") or trainer.get("fast_dev_run"):
        words.append("a quick try: trained on a part of the images")
    return words


def _later_without_checkpoint(place: Path, outputs: Path) -> list[Run]:
    """Completed runs below `outputs`, the newest last, that are newer than those in `place` but left no checkpoint."""
    newest = max(map(_written, filter(_usable, runs_below(place))), default=0)
    later = [run for run in runs_below(outputs) if run.status == COMPLETED and not _usable(run)]
    return sorted((run for run in later if _written(run) > newest), key=_written)


def _usable(run: Run) -> bool:
    return run.status == COMPLETED and any((run.directory / CHECKPOINTS / name).is_file() for name in (BEST, LAST))


def _written(run: Run) -> int:
    return (run.directory / RESULT).stat().st_mtime_ns


def _metric(run: Run, name: str, default: float) -> float:
    value = (run.result.get("metrics") or {}).get(name)
    return default if value is None else float(value)
