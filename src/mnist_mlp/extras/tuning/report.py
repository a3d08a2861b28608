"""What a search found: words for the console, pictures, and the best configuration as a file that train.py runs."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from mnist_mlp.extras.tuning import plots
from mnist_mlp.extras.tuning.best_experiment import as_experiment
from mnist_mlp.extras.tuning.study import SharedStudy
from mnist_mlp.runs import directories as runs
from mnist_mlp.runs.atomic_write import replacing

BEST, START = "best", "start"  # experiment files
WORDS = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "ended early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "not finished",
}


def report(study: SharedStudy, images: int) -> str:
    """Leave pictures and the best configuration in the study's directory; the words for the console.

    `images`: how many the accuracies were measured on.
    """
    trials, where = study.trials, runs.shown(study.directory)
    counts = {word: sum(trial.state == state for trial in trials) for state, word in WORDS.items()}
    counted = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    lines = [f"trials           {counted or 'none'}; {study.search.trials} wanted"]
    if counts["not finished"]:
        lines.append("to finish them   the same command again, unless another process is at work on them")
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not completed:
        return "\n".join(lines)
    best = max(completed, key=_accuracy)  # of several equal ones the earliest
    plain = next((trial for trial in completed if trial.params == study.space.first()), None)
    compared = f"; the settings it started from: {_accuracy(plain):.2%}" if plain and plain is not best else ""
    doubt = math.sqrt(_accuracy(best) * (1 - _accuracy(best)) / images)
    drawn = study.space.overrides(best.params)
    told = f"The best of {len(trials)} trials: {_accuracy(best):.2%} of {images} validation images."
    _write(study.directory / "experiment" / f"{BEST}.yaml", as_experiment(drawn, told))
    _write(study.directory / "experiment" / f"{START}.yaml", as_experiment(study.space.fixed, "Before the search."))
    pictures = plots.draw(study.study, trials, best, plain, study.directory)
    train = f"python src/train.py --config-dir {shlex.quote(str(where))}"
    lines += [
        f"best             {_accuracy(best):.2%} on validation, trial {best.number}{compared}",
        *(f"                 {word}" for word in drawn[len(study.space.fixed) :]),
        f"doubt            one seed, {images} images: a standard error of {100 * doubt:.2f} points. To be surer:",
        f"                 {train} -m experiment={START},{BEST} seed=1,2,3",
        f"to train it      {train} experiment={BEST}",
        f"pictures         {' '.join(str(where / name) for name in pictures)}",
        f"all trials       python src/compare.py {shlex.quote(str(where))}",
    ]
    return "\n".join(lines)


def _accuracy(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _write(path: Path, text: str) -> None:
    """In one piece: another process may be at the end of the same study."""
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(text)
