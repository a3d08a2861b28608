"""Summary of a run for the console: what was reached, where it is, and the next commands to paste."""

from __future__ import annotations

from pathlib import Path

from mnist_mlp.config.schema import PROJECT
from mnist_mlp.runs.command_line import arguments_of, in_lines
from mnist_mlp.runs.directories import BEST, CHECKPOINTS, shown
from mnist_mlp.runs.metric_text import metric_text
from mnist_mlp.runs.newest import OUTPUTS
from mnist_mlp.runs.record import read_run
from mnist_mlp.runs.result import Result


def summary(result: Result) -> str:
    """Accuracy, seconds, run directory and next commands; one line for a job of a sweep."""
    record = read_run(result.directory)
    thinned = result.config.get("sweep", {}).get("keep", "all") != "all"
    if thinned or (record is not None and record.sweep is not None):
        test = result.metrics["test/acc"]
        return f"{shown(result.directory)}   {result.status if test is None else f'test accuracy {test:.2%}'}"
    seconds = "   ".join(f"{part} {duration:.1f}" for part, duration in result.seconds.items())
    commands = _next_commands(result.directory)
    return "\n".join(
        [
            *_reached(result),
            f"seconds          {seconds}",
            f"run directory    {shown(result.directory)}",
            *(["next:"] if commands else []),
            *map(in_lines, commands),
        ]
    )


def _reached(result: Result) -> list[str]:
    lines = []
    if (test := result.metrics["test/acc"]) is not None:
        lines.append(f"test accuracy    {test:.2%} on the test set")
    if result.best_epoch is not None:
        monitor = result.config["checkpoint"].get("monitor", "val/acc")
        value = result.metrics.get(monitor)
        reached = "" if value is None else f": {metric_text(monitor, value)}"
        decided = "validation" if monitor == "val/acc" else monitor
        lines.append(f"best epoch       {result.best_epoch + 1} of {result.epochs}, by {decided}{reached}")
    elif result.epochs:
        lines.append(f"epochs           {result.epochs}, none was validated: the last one counts")
    return lines


def _next_commands(directory: Path) -> list[list[str]]:
    """The arguments of each command that can be run on the run in `directory`."""
    commands = []
    if (directory / "tensorboard").exists():
        by_make = Path.cwd() == PROJECT and (PROJECT / "Makefile").exists() and directory.is_relative_to(OUTPUTS)
        commands.append(["make", "tensorboard"] if by_make else ["tensorboard", "--logdir", str(shown(directory))])
    if (directory / CHECKPOINTS / BEST).exists():
        # A copy of the project may not have these commands.
        scripts = [name for name in ("evaluate.py", "demo.py") if (PROJECT / "src" / name).exists()]
        commands += [arguments_of(name, checkpoint=directory) for name in scripts]
    return commands
