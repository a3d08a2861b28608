"""The pictures of a comparison, as SVG that takes its ink from the page: legible on white and on black."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from mnist_mlp.extras.leaderboard.leaderboard import Entry, Leaderboard
from mnist_mlp.extras.leaderboard.table import shown

# Told apart on light and on dark ground, also by most colour-blind eyes (after Okabe and Ito 2008).
COLOURS = ("#0b84d8", "#e08a00", "#009e73", "#d05a9a", "#8468e0", "#d55e00", "#2fa8c4", "#a08a28")
REST = "#8a919c"
INK, LINE = "#010203", "#040506"  # placeholders: the page's text colour, and its fainter one
POOR_TO_GOOD = LinearSegmentedColormap.from_list("poor_to_good", [REST, "#0b84d8", "#00a878"])
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "comparison",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def drawn(width: float, height: float, draw: Callable[[Figure], None]) -> str:
    """An `<svg>` element of `width` by `height` inches, filled by `draw`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "var(--ink)").replace(LINE, "var(--line)")
    return re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)


def colour(rank: int) -> str:
    """Of the entry of this rank, from 0; those further down share one."""
    return COLOURS[rank] if rank < len(COLOURS) else REST


def learning_curves(board: Leaderboard) -> str:
    def draw(figure: Figure) -> None:
        error, loss = figure.subplots(1, 2)
        for rank in reversed(range(len(board.entries))):  # the best on top
            _curve(error, board.entries[rank], "val/acc", rank, lambda values: 100 * (1 - values))
            _curve(loss, board.entries[rank], "train/loss", rank, lambda values: values)
        for axes, title in ((error, "validation error, %"), (loss, "training loss")):
            _logarithmic(axes.yaxis)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(title=title, xlabel="epoch")

    return drawn(9.6, 3.6, draw)


def _curve(axes: Axes, entry: Entry, name: str, rank: int, change: Callable[[Any], Any]) -> None:
    histories = [{row["epoch"] + 1: row.get(name) for row in run.result["history"]} for run in entry.runs]
    common = set.intersection(*(set(history) for history in histories))
    epochs = sorted(epoch for epoch in common if all(history[epoch] is not None for history in histories))
    if not epochs:
        return
    values = change(np.array([[history[epoch] for epoch in epochs] for history in histories], dtype=float))
    values = np.where(values > 0, values, np.nan)  # no place for zero on a logarithmic axis
    mark = "o" if len(epochs) == 1 else None
    line: dict[str, Any] = {"color": colour(rank), "linewidth": 1.8 if rank < len(COLOURS) else 0.8, "marker": mark}
    axes.plot(epochs, values.mean(axis=0), zorder=3 if rank < len(COLOURS) else 2, **line)
    if len(histories) > 1 and rank < len(COLOURS):
        axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour(rank), alpha=0.15, linewidth=0)


def by_setting(board: Leaderboard) -> str:
    """One panel for each key that differs: validation accuracy against its value, whatever the other keys are."""

    def draw(figure: Figure) -> None:
        rows = -(-len(board.keys) // 3)
        panels = figure.subplots(rows, min(3, len(board.keys)), sharey=True, squeeze=False).flat
        for axes, key in zip(panels, board.keys, strict=False):
            place = Scale([entry.settings[key] for entry in board.entries])
            for rank in reversed(range(len(board.entries))):
                entry = board.entries[rank]
                x, accuracy = place.of(entry.settings[key]), entry.score
                axes.plot([x] * len(entry.runs), [100 * v for v in accuracy.values], ".", color=REST, alpha=0.6)
                axes.plot(x, 100 * accuracy.mean, "o", color=colour(rank), markersize=6, zorder=3)
            axes.set_xlim(-0.12, 1.12)
            axes.set_xticks([x for x, _ in place.ticks], [label for _, label in place.ticks])
            if max(len(label) for _, label in place.ticks) * len(place.ticks) > 30:
                axes.tick_params(axis="x", labelrotation=35)
            axes.set_title(key)
        for axes in list(panels):
            axes.set_visible(False)
        figure.supylabel("validation accuracy, %", fontsize=10)

    rows = -(-len(board.keys) // 3)
    return drawn(9.6 if len(board.keys) > 2 else 4.8 * len(board.keys), 3.2 * rows, draw)


def parallel_coordinates(board: Leaderboard) -> str:
    """A line for each entry through its value of every key that differs, to its accuracy; the best ones are bold."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        accuracies = [100 * entry.score.mean for entry in board.entries]
        scales = [Scale([entry.settings[key] for entry in board.entries]) for key in board.keys]
        last = len(scales)
        low, high = min(accuracies), max(accuracies)
        for rank in reversed(range(len(board.entries))):
            entry = board.entries[rank]
            height = (accuracies[rank] - low) / (high - low) if high > low else 0.5
            heights = [scale.of(entry.settings[key]) for scale, key in zip(scales, board.keys, strict=True)]
            width = 3.0 if rank == 0 else 1.2
            axes.plot(range(last + 1), [*heights, height], color=POOR_TO_GOOD(height), linewidth=width, alpha=0.9)
        for index, scale in enumerate(scales):
            _upright(axes, index, scale.ticks)
        _upright(axes, last, [(0.0, f"{low:.2f}"), (1.0, f"{high:.2f}")] if high > low else [(0.5, f"{high:.2f}")])
        axes.set_xticks(range(last + 1), [*board.keys, "validation accuracy, %"])
        axes.set_yticks([])
        axes.set(xlim=(-0.15, last + 0.35), ylim=(-0.06, 1.06))
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.grid(False)
        axes.tick_params(axis="x", length=0)

    return drawn(9.6, 3.8, draw)


def _upright(axes: Axes, x: float, ticks: Sequence[tuple[float, str]]) -> None:
    axes.axvline(x, color=LINE, linewidth=1)
    for height, label in ticks:
        axes.annotate(label, (x, height), xytext=(5, 3), textcoords="offset points", fontsize=9, color=INK)


def accuracy_against_seconds(board: Leaderboard) -> str:
    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for rank in reversed(range(len(board.entries))):
            entry = board.entries[rank]
            half = 100 * (entry.score.half or 0.0)
            bars: dict[str, Any] = {"ecolor": colour(rank), "elinewidth": 1, "alpha": 0.9, "markersize": 7}
            point = (entry.seconds, 100 * entry.score.mean)
            axes.errorbar(*point, yerr=half or None, fmt="o", color=colour(rank), **bars)
            if rank < len(COLOURS):
                axes.annotate(str(rank + 1), point, xytext=(6, 4), textcoords="offset points", color=INK)
        axes.set(xlabel="seconds", ylabel="validation accuracy, %")
        axes.margins(x=0.1)

    return drawn(6.4, 3.6, draw)


def _logarithmic(axis: Any) -> None:
    axis.axes.set_yscale("log")
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low, high = axis.get_view_interval()
    if high / low > 100:
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else ""))


class Scale:
    """The values of one key spread over [0, 1]: numbers by size, or by magnitude where they span it; others in turn."""

    def __init__(self, values: Sequence[Any]) -> None:
        kinds = {shown(value): value for value in values}
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in kinds.values())
        if numeric:
            names = sorted(kinds, key=lambda name: kinds[name])
            places = np.array([kinds[name] for name in names], dtype=float)
            if places[0] > 0 and places[-1] / places[0] >= 8:
                places = np.log(places)
        else:
            # Lists of widths by their length and size, words in the order in which they came.
            names = sorted(kinds, key=lambda name: _size(kinds[name]))
            places = np.arange(len(names), dtype=float)
        span = places[-1] - places[0]
        heights = (places - places[0]) / span if span else np.full(len(places), 0.5)
        self._places = dict(zip(names, map(float, heights), strict=True))

    def of(self, value: Any) -> float:
        return self._places[shown(value)]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Every value, or, where there are many, some spread over all of them."""
        ticks = [(place, name) for name, place in self._places.items()]
        if len(ticks) <= 8:
            return ticks
        return [ticks[round(index)] for index in np.linspace(0, len(ticks) - 1, 5)]


def _size(value: Any) -> float:
    return float(sum(value)) if isinstance(value, list) and all(isinstance(item, int) for item in value) else 0.0
