"""Summary of a run for the console: what was reached, where it is, and the next commands to paste."""

from __future__ import annotations

from pathlib import Path

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import PROJECT, DataConfig
from mnist_mlp.runs.command_line import arguments_of, in_lines
from mnist_mlp.runs.directories import BEST, CHECKPOINTS, shown
from mnist_mlp.runs.metric_text import metric_text
from mnist_mlp.runs.monitored import ACCURACY, monitored, test_result
from mnist_mlp.runs.newest import OUTPUTS
from mnist_mlp.runs.record import read_run
from mnist_mlp.runs.result import Result

DRAWN = (1, 28, 28)  # (C, H, W) of what the page of demo.py draws


def summary(result: Result) -> str:
    """Test result, seconds, run directory and next commands; one line for a job of a sweep."""
    record = read_run(result.directory)
    thinned = result.config.get("sweep", {}).get("keep", "all") != "all"
    if thinned or (record is not None and record.sweep is not None):
        return f"{shown(result.directory)}   {' '.join(_test(result)) or result.status}"
    seconds = "   ".join(f"{part} {duration:.1f}" for part, duration in result.seconds.items())
    commands = _next_commands(result)
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
    if words := _test(result):
        lines.append(f"{words[0]:<16} {words[1]} on the test set")
    if result.best_epoch is not None:
        monitor, _ = monitored(result.config)
        value = result.metrics.get(monitor)
        reached = "" if value is None else f": {metric_text(monitor, value)}"
        decided = "validation" if monitor == ACCURACY else monitor
        lines.append(f"best epoch       {result.best_epoch + 1} of {result.epochs}, by {decided}{reached}")
    elif result.epochs:
        lines.append(f"epochs           {result.epochs}, none was validated: the last one counts")
    return lines


def _test(result: Result) -> list[str]:
    """Name and value of the test metric, as words; none without a test."""
    if (found := test_result(result.config, result.metrics)) is None:
        return []
    return ["test accuracy" if found[0] == "test/acc" else found[0], metric_text(*found)]


def _next_commands(result: Result) -> list[list[str]]:
    """The arguments of each command that can be run on this run."""
    directory, commands = result.directory, []
    if (directory / "tensorboard").exists():
        by_make = Path.cwd() == PROJECT and (PROJECT / "Makefile").exists() and directory.is_relative_to(OUTPUTS)
        commands.append(["make", "tensorboard"] if by_make else ["tensorboard", "--logdir", str(shown(directory))])
    if (directory / CHECKPOINTS / BEST).exists():
        # A copy of the project may not have these commands.
        scripts = [name for name in _scripts(result) if (PROJECT / "src" / name).exists()]
        commands += [arguments_of(name, checkpoint=directory) for name in scripts]
    return commands


def _scripts(result: Result) -> list[str]:
    """The scripts that do not refuse the checkpoint of this run: they need all images in memory."""
    from mnist_mlp.data.sources import describe, source_of  # imports NumPy, which --help does not need

    data = DataConfig(**result.config["data"])
    try:
        if source_of(data).load is None:
            return []
        page = result.config["model"]["name"] == "mlp" and describe(data).image_shape == DRAWN
    except ConfigError:  # the images are no longer there
        return []
    return ["evaluate.py", *(["demo.py"] if page else [])]
