"""Pictures of a study: how it went, which keys mattered, and where in their ranges the good values lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState

from mnist_mlp.extras.colours import BLUE_HEX as BLUE
from mnist_mlp.extras.text_table import shortened
from mnist_mlp.runs.atomic_write import replacing

ORANGE, GREY, INK = "#d95f02", "#b8b8b8", "#333333"
DPI = 150
ENOUGH = 15
"""Completed trials from which on importances are drawn: of fewer they are mostly chance."""
TICKS = 4  # on the axis of a key
CHARACTERS = 22  # of ticks that fit side by side below a panel


def draw(
    study: optuna.Study, trials: Sequence[FrozenTrial], best: FrozenTrial, first: FrozenTrial | None, directory: Path
) -> list[str]:
    """The names of the pictures that could be drawn; importance needs enough completed trials that differ.

    `first`: the trial with the settings that the search started from, if it completed.
    """
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED and trial.intermediate_values]
    figures = {
        "history.png": _history(completed, pruned, best, first, last=trials[-1].number),
        "slices.png": _slices(completed, pruned, best),
    }
    if len(completed) >= ENOUGH and len({trial.value for trial in completed}) > 1:
        figures["importance.png"] = _importance(study)
    for name, figure in figures.items():
        with replacing(directory / name) as draft:  # another process may be at the end of the same study
            figure.savefig(draft, dpi=DPI, format="png")
    return list(figures)


def _history(
    completed: Sequence[FrozenTrial],
    pruned: Sequence[FrozenTrial],
    best: FrozenTrial,
    first: FrozenTrial | None,
    *,
    last: int,
) -> Figure:
    """Accuracy of each trial, and of each of its epochs; `last` is the number of the last trial."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    floor = _floor(completed)

    for trial in pruned:
        left.plot(trial.number, max(_last(trial), floor), "x", color=GREY, markersize=7, markeredgewidth=1.8)
    left.plot([t.number for t in completed], [t.value for t in completed], "o", color=BLUE, label="completed")
    if pruned:
        left.plot([], [], "x", color=GREY, markeredgewidth=1.8, label="ended early (at its last epoch)")
    so_far = list(accumulate((t.value or 0 for t in completed), max))
    reached = [*(t.number for t in completed), last]
    left.step(reached, [*so_far, so_far[-1]], where="post", color=ORANGE, label="best so far")
    if first is not None and first.value is not None:
        left.axhline(first.value, color=INK, linewidth=1, linestyle=":", label="the settings it started from")
    left.set(xlabel="trial", ylabel="validation accuracy", title=f"Best so far: {best.value:.2%}, trial {best.number}")
    left.set_xlim(-0.5, max(last, 1) + 0.5)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(loc="lower right", fontsize=8)

    for trial in [*pruned, *completed]:
        steps = sorted(trial.intermediate_values)
        style = (
            {"color": ORANGE, "linewidth": 2.2, "zorder": 3}
            if trial is best
            else {"color": GREY if trial.state == TrialState.PRUNED else BLUE, "linewidth": 1, "alpha": 0.7}
        )
        mark = "o" if len(steps) == 1 else None
        right.plot(steps, [trial.intermediate_values[step] for step in steps], marker=mark, **style)  # type: ignore[arg-type]
        if trial.state == TrialState.PRUNED:
            right.plot(steps[-1], max(_last(trial), floor), "x", color=GREY, markersize=6, markeredgewidth=1.5)
    right.set(xlabel="epoch", title="Each trial, epoch by epoch")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylim(*_limits(floor, completed))
    for axes in (left, right):
        _clean(axes)
    return figure


def _limits(floor: float, completed: Sequence[FrozenTrial]) -> tuple[float, float]:
    """The ends of the accuracy axis; they differ also where all trials are the same."""
    ceiling = max(trial.value or 0 for trial in completed)
    span = max(ceiling - floor, 0.002)
    return floor - 0.03 * span, ceiling + 0.06 * span


def _floor(completed: Sequence[FrozenTrial]) -> float:
    """Where the accuracy axis begins; what lies lower is drawn there.

    Nine tenths of the epochs of completed trials lie above it, and every final accuracy. It is below 1, so that the
    axis has a length.
    """
    values = sorted(value for trial in completed for value in trial.intermediate_values.values())
    low = values[len(values) // 10] if values else 0.0
    return min(low, *(trial.value or 0 for trial in completed), 0.999)


def _importance(study: optuna.Study) -> Figure:
    importances = get_param_importances(study)
    figure = Figure(figsize=(7.5, 1.2 + 0.4 * len(importances)), layout="constrained")
    axes = figure.subplots()
    names, shares = list(importances)[::-1], list(importances.values())[::-1]
    bars = axes.barh(names, shares, color=BLUE)
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=4, color=INK)
    axes.set(
        xlabel="how much a key sets the best of the completed trials apart (PED-ANOVA)", title="Which keys mattered"
    )
    axes.set_xlim(0, 1.12 * max(shares))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _clean(axes, percent=False)
    axes.grid(axis="y", visible=False)
    return figure


def _slices(completed: Sequence[FrozenTrial], pruned: Sequence[FrozenTrial], best: FrozenTrial) -> Figure:
    keys = list(best.params)
    rows = math.ceil(len(keys) / 4)
    columns = math.ceil(len(keys) / rows)
    figure = Figure(figsize=(1 + 3.3 * columns, 0.6 + 3.2 * rows), layout="constrained")
    figure.suptitle("Every trial at its value of each key; ended early in grey")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    floor = min(trial.value or 0.0 for trial in completed)
    for axes, key in zip(grid.flat, keys, strict=False):
        place = _axis_of(axes, key, best)
        axes.plot(
            [place(t.params[key]) for t in pruned],
            [max(_last(t), floor) for t in pruned],
            "x",
            color=GREY,
            markeredgewidth=1.5,
        )
        axes.plot([place(t.params[key]) for t in completed], [t.value for t in completed], "o", color=BLUE, alpha=0.8)
        axes.plot(place(best.params[key]), best.value, "o", color=ORANGE, markersize=9)
        axes.set(xlabel=key)
        axes.set_ylim(*_limits(floor, completed))
        _clean(axes)
    for axes in grid.flat[len(keys) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("validation accuracy")
    return figure


def _axis_of(axes: Axes, key: str, trial: FrozenTrial) -> Any:
    """Prepare the axis of this key; from a value to its place on it."""
    distribution = trial.distributions[key]
    if isinstance(distribution, CategoricalDistribution):
        choices = list(distribution.choices)
        names = [shortened(str(choice), CHARACTERS) for choice in choices]
        axes.set_xticks(range(len(choices)), names)
        axes.set_xlim(-0.5, len(choices) - 0.5)
        if len(choices) * (2 + max(map(len, names))) > CHARACTERS:
            for label in axes.get_xticklabels():
                label.set(rotation=35, ha="right", rotation_mode="anchor")
        return choices.index
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if distribution.log:
        axes.set_xscale("log")
        ticks = np.geomspace(distribution.low, distribution.high, TICKS)
        axes.set_xticks(ticks, [f"{tick:.0f}" if tick >= 10 else f"{tick:.2g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())  # whose labels would lie on these
        axes.set_xlim(distribution.low / 1.1, distribution.high * 1.1)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=isinstance(distribution, IntDistribution)))
    return float


def _last(trial: FrozenTrial) -> float:
    return trial.intermediate_values[max(trial.intermediate_values)]


def _clean(axes: Axes, percent: bool = True) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
