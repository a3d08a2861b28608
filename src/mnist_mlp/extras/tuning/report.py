"""Report of a search: text for the console, pictures, and the best configuration as a file that train.py runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from mnist_mlp.extras.text_table import wrapped
from mnist_mlp.extras.tuning.best_experiment import as_experiment
from mnist_mlp.extras.tuning.pruners import proposal_of
from mnist_mlp.extras.tuning.study import RESUMED, SharedStudy
from mnist_mlp.runs import directories
from mnist_mlp.runs.atomic_write import replacing
from mnist_mlp.runs.command_line import arguments_of, in_lines

BEST, START = "best", "start"  # experiment files
WORDS = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "ended early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "not finished",
}


def report(study: SharedStudy, images: int) -> str:
    """Write plots and experiment files to the study's directory; returns the text for the console.

    Args:
        images: how many the accuracies were measured on.
    """
    trials, where = study.trials, directories.shown(study.directory)
    counts = {word: sum(trial.state == state for trial in trials) for state, word in WORDS.items()}
    counted = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    lines = [f"trials           {counted or 'none'}; {study.search.trials} wanted"]
    if left := time_left(study):
        lines.append(f"time left        {left}, in one process")
    if counts["not finished"]:
        lines.append("to finish them   the same command again, unless another process is at work on them")
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not completed:
        return "\n".join(lines)
    best = max(completed, key=_accuracy)  # of several equal ones the earliest
    start = study.space.first()
    first = next((trial for trial in completed if trial.params == start), None)
    compared = [f"started from     {_accuracy(first):.2%}"] if first and first is not best else []
    error = math.sqrt(_accuracy(best) * (1 - _accuracy(best)) / images)
    overrides = study.space.overrides(best.params)
    origin = f"The best of {len(trials)} trials: {_accuracy(best):.2%} of {images} validation images."
    _write(study.directory / "experiment" / f"{BEST}.yaml", as_experiment(overrides, origin))
    _write(study.directory / "experiment" / f"{START}.yaml", as_experiment(study.space.fixed, "Before the search."))
    train = arguments_of("train.py", "--config-dir", str(where))
    lines += [
        f"best             {_accuracy(best):.2%} on validation, trial {best.number}",
        *(f"                 {override}" for override in overrides[len(study.space.fixed) :]),
        *compared,
        f"uncertainty      one seed, {images:,} images: a standard error of {100 * error:.2f} points",
        f"pictures         {_pictures(study, trials, best, first)}",
        "confirm with more seeds:",
        in_lines([*train, "-m", f"experiment={START},{BEST}", "seed=1,2,3"]),
        "to train the best:",
        in_lines([*train, f"experiment={BEST}"]),
        "all trials:",
        in_lines(arguments_of("compare.py", str(where))),
    ]
    return "\n".join(lines)


def _pictures(study: SharedStudy, trials: Sequence[FrozenTrial], best: FrozenTrial, first: FrozenTrial | None) -> str:
    """Draw them; returns where they lie. `first` has the settings that the search started from, if it completed."""
    from mnist_mlp.extras.tuning import plots  # Matplotlib takes long to import

    names = plots.draw(study.study, trials, best, first, study.directory)
    return f"\n{' ' * 17}".join(str(directories.shown(study.directory) / name) for name in names)


def trial_line(study: SharedStudy, number: int, outcome: str, settings: Sequence[str]) -> str:
    """A trial that has ended: its outcome and settings, the best so far, and the time left."""
    completed = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    words = [f"trial {number:>3} of {study.search.trials}  {outcome:<8}"]
    words += [f"best so far {max(map(_accuracy, completed)):.2%}"] if completed else []
    words += [f"{left} left"] if (left := time_left(study)) else []
    return wrapped("  ".join([*words, *settings]), indent=" " * 11)


def time_left(study: SharedStudy) -> str:
    """Estimated time if this process alone trains all remaining trials, from those that ended without a pause."""
    trials = study.trials
    paused = {proposal_of(trial) for trial in trials if RESUMED in trial.user_attrs}
    ended: dict[int, list[tuple[datetime, datetime]]] = {}  # of those proposed together: they share their time
    for trial in trials:
        if trial.datetime_start and trial.datetime_complete:
            ended.setdefault(proposal_of(trial), []).append((trial.datetime_start, trial.datetime_complete))
    # All trials of a proposal count as done if one has ended: the others end at about the same time.
    due = study.search.trials - sum(proposal_of(trial) in ended for trial in trials)
    timed = ended.keys() - paused
    if not timed or due <= 0:
        return ""
    spent = [max(end for _, end in ended[number]) - min(begin for begin, _ in ended[number]) for number in timed]
    of_these = sum(proposal_of(trial) in timed for trial in trials)
    seconds = sum(time.total_seconds() for time in spent) / of_these * due
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _accuracy(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _write(path: Path, text: str) -> None:
    """In one piece: another process may be at the end of the same study."""
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(text)
