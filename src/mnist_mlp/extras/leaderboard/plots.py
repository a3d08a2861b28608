"""The plots of a leaderboard, as SVG that takes its ink from the page: legible on white and on black.

Each mark of an entry carries the number of the entry, so that the page can name it and highlight all its marks.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from mnist_mlp.extras.leaderboard.colours import COLOURS, REST, colour
from mnist_mlp.extras.leaderboard.leaderboard import Entry, Leaderboard
from mnist_mlp.extras.leaderboard.scale import Scale
from mnist_mlp.extras.leaderboard.statistics import Floats
from mnist_mlp.extras.leaderboard.table import metric_title, metric_value, short_names, shown
from mnist_mlp.runs.metric_text import is_share

DRAWN = 200
"""Entries in a plot, evenly spread over the ranks; the best ones are drawn in any case."""
PANEL = (4.6, 3.2)  # inches; a phone shows a panel in its whole width
INK, LINE = "#010203", "#040506"  # placeholders: the page's text colour, and its fainter one
STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "leaderboard",
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


class Figures:
    """The plots of one leaderboard, the `number`-th of the page."""

    def __init__(self, board: Leaderboard, number: int) -> None:
        self.board, self.number = board, number
        spread = np.linspace(0, len(board.entries) - 1, min(DRAWN, len(board.entries)))
        # The best are drawn last, on top of the others.
        self.ranks = sorted({*range(min(len(COLOURS), len(board.entries))), *map(int, spread.round())}, reverse=True)
        self.left_out = len(board.entries) - len(self.ranks)
        self.title = metric_title(board.monitor)
        self.factor = 100 if is_share(board.monitor) else 1

    def learning_curves(self) -> list[str]:
        """Curves by epoch of the validation error and of the training loss; nothing where no run has two epochs.

        Without accuracy, the metric that ranks the runs takes the place of the error.
        """
        if all(len(run.result["history"]) < 2 for entry in self.board.entries for run in entry.runs):
            return []
        if any(len(_by_epoch(entry, "val/acc")[0]) > 0 for entry in self.board.entries):
            validation = self._curves("validation error, %", "val/acc", lambda values: 100 * (1 - values))
        else:
            validation = self._curves(self.title, self.board.monitor, lambda values: self.factor * values)
        return [validation, self._curves("training loss", "train/loss", lambda values: values)]

    def _curves(self, title: str, name: str, change: Callable[[Floats], Floats]) -> str:
        def draw(axes: Axes) -> None:
            drawn = [0.0]
            for rank in self.ranks:
                epochs, values = _by_epoch(self.board.entries[rank], name)
                if len(epochs) == 0:
                    continue
                values = change(values)
                drawn += values.min(axis=0).tolist()
                paint, coloured = colour(rank), rank < len(COLOURS)
                style: dict[str, Any] = {"color": paint, "linewidth": 1.8 if coloured else 0.8}
                (line,) = axes.plot(epochs, values.mean(axis=0), marker="o" if len(epochs) == 1 else None, **style)
                line.set_gid(self._mark(rank))
                if len(values) > 1 and coloured:
                    axes.fill_between(
                        epochs, values.min(axis=0), values.max(axis=0), color=paint, alpha=0.15, linewidth=0
                    )
            if min(drawn[1:], default=0.0) > 0:
                _logarithmic(axes)
            else:  # zero has no place on a logarithmic axis
                axes.set_ylim(bottom=0, top=None if max(drawn) > 0 else 1)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(title=title, xlabel="epoch")

        return self._drawn(title, draw)

    def by_setting(self) -> list[str]:
        """One panel for each key that differs: the score against its value, whatever the other keys are."""
        return [self._drawn(f"{self.title} by {key}", partial(self._setting, key)) for key in self.board.keys]

    def _setting(self, key: str, axes: Axes) -> None:
        scale = Scale([entry.settings[key] for entry in self.board.entries])
        entries = [self.board.entries[rank] for rank in self.ranks]
        single = [(scale.of(entry.settings[key]), value) for entry in entries for value in entry.score.values]
        axes.plot([x for x, _ in single], [self.factor * y for _, y in single], ".", color=REST, alpha=0.5)
        for rank, entry in zip(self.ranks, entries, strict=True):
            place = scale.of(entry.settings[key]), self.factor * entry.score.mean
            (dot,) = axes.plot(*place, "o", color=colour(rank), markersize=7 if rank < len(COLOURS) else 5)
            dot.set_gid(self._mark(rank))
        axes.set_xlim(-0.12, 1.12)
        axes.set_xticks([x for x, _ in scale.ticks], [label for _, label in scale.ticks])
        if scale.crowded:
            axes.tick_params(axis="x", labelrotation=35)
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
        axes.set(title=key, ylabel=self.title)
        self._limit(axes, [y for _, y in single])

    def parallel_coordinates(self) -> str:
        """A line for each entry through its value of every key that differs, to its score; the best one is bold."""
        keys, entries = self.board.keys, self.board.entries
        scales = [Scale([entry.settings[key] for entry in entries]) for key in keys]
        scores = [self.factor * entry.score.mean for entry in entries]
        low, high = min(scores), max(scores)
        last = len(scales)

        def draw(axes: Axes) -> None:
            for rank in self.ranks:
                settings = entries[rank].settings
                heights = [scale.of(settings[key]) for scale, key in zip(scales, keys, strict=True)]
                heights.append((scores[rank] - low) / (high - low) if high > low else 0.5)
                width = 3.2 if rank == 0 else 1.6 if rank < len(COLOURS) else 0.8
                (line,) = axes.plot(range(last + 1), heights, color=colour(rank), linewidth=width)
                line.set_gid(self._mark(rank))
            for index, scale in enumerate(scales):
                _upright(axes, index, scale.ticks)
            ends = [(0.0, f"{low:.2f}"), (1.0, f"{high:.2f}")] if high > low else [(0.5, f"{high:.2f}")]
            _upright(axes, last, ends)
            axes.set_xticks(range(last + 1), [*short_names(keys), self.title])
            axes.set_yticks([])
            axes.set(xlim=(-0.2, last + 0.4), ylim=(-0.06, 1.08))
            axes.spines[["left", "bottom"]].set_visible(False)
            axes.grid(False)
            axes.tick_params(axis="x", length=0)

        size = (max(7.0, 1.5 * (last + 1)), 3.8)
        return self._drawn("All settings together", draw, size=size, kind="whole")

    def score_against_seconds(self) -> str:
        def draw(axes: Axes) -> None:
            for rank in self.ranks:
                entry = self.board.entries[rank]
                half = self.factor * (entry.score.half or 0.0)
                x, y = entry.seconds, self.factor * entry.score.mean
                if half and rank < len(COLOURS):
                    axes.plot([x, x], [y - half, y + half], color=colour(rank), linewidth=1)
                (dot,) = axes.plot(x, y, "o", color=colour(rank), markersize=7 if rank < len(COLOURS) else 5)
                dot.set_gid(self._mark(rank))
            seconds = [entry.seconds for entry in self.board.entries]
            margin = 0.08 * (max(seconds) - min(seconds)) or 0.1 * max(seconds) or 1.0
            axes.set(xlabel="seconds", ylabel=self.title, xlim=(min(seconds) - margin, max(seconds) + margin))
            ends = [end for rank in self.ranks for end in self.board.entries[rank].score.interval]
            self._limit(axes, ends)

        return self._drawn(f"{self.title} against seconds", draw)

    def _limit(self, axes: Axes, values: Sequence[float]) -> None:
        """The ends of the axis of scores, which differ also if all scores are the same; no ticks beyond 0 and 100 %."""
        low, high = self.factor * min(values), self.factor * max(values)
        margin = 0.08 * (high - low) or 0.005 * self.factor
        if is_share(self.board.monitor):
            low, high = max(low, 0.0), min(high, 100.0)  # an interval may reach further
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if 0 <= value <= 100 else ""))
        axes.set_ylim(low - margin, high + margin)

    def _mark(self, rank: int) -> str:
        return f"entry-{self.number}-{rank}"

    def _label(self, rank: int) -> str:
        entry = self.board.entries[rank]
        words = [f"{key} {shown(value)}" for key, value in entry.settings.items()]
        score = f"{self.board.monitor} {metric_value(self.board.monitor, entry.score, unit=True)}"
        seeds = f"{len(entry.runs)} seeds" if len(entry.runs) > 1 else f"seed {entry.seeds[0]}"
        return "\n".join([f"rank {rank + 1}: {score}, {seeds}", *words])

    def _drawn(
        self, name: str, draw: Callable[[Axes], None], *, size: tuple[float, float] = PANEL, kind: str = "panel"
    ) -> str:
        """An `<svg>` element of `size` in inches, drawn by `draw`."""
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=size)
            draw(figure.subplots())
            file = io.StringIO()
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        svg = file.getvalue()
        svg = svg[svg.index("<svg") :].replace(INK, "var(--ink)").replace(LINE, "var(--line)")
        svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        svg = re.sub(r'<g id="entry-(\d+)-(\d+)">', self._marked, svg)
        svg = re.sub(r'<g id="[a-zA-Z]+[\d_]*">', "<g>", svg)  # Matplotlib repeats ids from plot to plot
        return svg.replace("<svg", f'<svg role="img" aria-label="{escape(name)}" class="{kind}"', 1)

    def _marked(self, found: re.Match[str]) -> str:
        rank = int(found[2])
        label = escape(self._label(rank)).replace("\n", "&#10;")
        return f'<g data-entry="{self.number}-{rank}" data-label="{label}">'


def _by_epoch(entry: Entry, name: str) -> tuple[Floats, Floats]:
    """Epochs, counted from one, that all runs of an entry have, `(E,)`, and this metric of each run, `(runs, E)`."""
    histories = [{row["epoch"] + 1: row.get(name) for row in run.result["history"]} for run in entry.runs]
    common = set.intersection(*(set(history) for history in histories))
    epochs = sorted(epoch for epoch in common if all(history[epoch] is not None for history in histories))
    return np.array(epochs), np.array([[history[epoch] for epoch in epochs] for history in histories], dtype=float)


def _upright(axes: Axes, x: float, ticks: Sequence[tuple[float, str]]) -> None:
    axes.axvline(x, color=LINE, linewidth=1)
    for height, label in ticks:
        axes.annotate(label, (x, height), xytext=(5, 3), textcoords="offset points", fontsize=9, color=INK)


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axis = axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low, high = axis.get_view_interval()
    if high / low > 100:
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else ""))
