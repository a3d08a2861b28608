"""The plots of an evaluation, drawn with Matplotlib and without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from mnist_mlp.extras.colours import BLUE_HEX, GREY_HEX, RED_HEX
from mnist_mlp.extras.evaluation.ensemble import left_out, side_by_side
from mnist_mlp.extras.evaluation.metrics import Reliability, reliability, wilson
from mnist_mlp.extras.evaluation.mistakes_picture import Images, as_picture
from mnist_mlp.extras.inference.predictions import (
    OperatingPoint,
    Predictions,
    at_threshold,
    coverage_at_risk,
    risk_coverage,
)

BLUE, RED, GREEN, GREY = BLUE_HEX, RED_HEX, "#2c8a4b", GREY_HEX
COLOURS = (BLUE, RED, GREEN, GREY)
"""One colour per network; a plot shows at most so many."""
DPI = 150
RISK = 0.001
SIDE = 28  # pixels of an example image, at most


def reliability_diagram(predicted: Predictions, raw: Predictions | None = None) -> Figure:
    """Reliability. Upper plot: the share of right guesses at each confidence, with 95% intervals. Lower plot: the
    number of guesses at each confidence.

    `raw` are the predictions before calibration.
    """
    figure = Figure(figsize=(7, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
    kinds = [("calibrated" if raw else "network", BLUE, predicted), *([("uncalibrated", RED, raw)] if raw else [])]
    for number, (name, colour, predictions) in enumerate(kinds):
        bins = reliability(predictions)
        offset = 0.4 * (number - (len(kinds) - 1) / 2)  # of the width of a bin
        _points(upper, bins, colour, f"{name}: ECE {bins.ece:.2%}", zorder=3 - number)
        width = np.diff(bins.edges)
        middle = (bins.edges[1:] + bins.edges[:-1]) / 2 + offset * width
        lower.bar(middle, bins.counts, width=0.8 * width / len(kinds), color=colour)
    upper.set_ylabel("share that is right")
    upper.set_ylim(-0.02, 1.02)
    upper.legend(frameon=False, loc="lower right")
    upper.set_title("reliability diagram: accuracy against confidence")
    lower.set_yscale("log")
    lower.set_ylabel("images")
    lower.set_xlabel("probability of the guess")
    lower.set_xlim(0, 1)
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else ""))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    for axis in (upper.yaxis, lower.xaxis):
        axis.set_major_formatter(PercentFormatter(1))
    return figure


def _points(axes: Axes, bins: Reliability, colour: str, name: str, zorder: int) -> None:
    full = bins.counts > 0
    accuracy, counts = bins.accuracy[full], bins.counts[full]
    limits = np.array([wilson(round(share * count), count) for share, count in zip(accuracy, counts, strict=True)])
    reach = np.abs(limits.T - accuracy)
    axes.errorbar(
        bins.confidence[full],
        accuracy,
        yerr=reach,
        color=colour,
        marker="o",
        markersize=5,
        linewidth=1.2,
        elinewidth=0.8,
        capsize=2,
        label=name,
        zorder=zorder,
    )


def risk_coverage_curve(predicted: Predictions, threshold: float | None = None) -> Figure:
    """Risk–coverage curve (lower envelope): the smallest error possible at this coverage or more.

    The error at a coverage rises with each mistake and falls until the next. To draw no such teeth, each point has the
    smallest error at its coverage or more.

    Args:
        threshold: the checkpoint's own.
    """
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    axes = figure.subplots()
    _, coverage, error = risk_coverage(predicted)
    error = np.minimum.accumulate(error[::-1])[::-1]
    least = 0.5 / len(predicted.labels)  # where an error of 0 is drawn on the logarithmic axis
    shown = error > 0
    axes.plot(coverage[shown], error[shown], color=BLUE, linewidth=1.8, drawstyle="steps-pre")
    points: list[tuple[str, str, OperatingPoint]] = [("all answered", GREY, at_threshold(predicted, 0.0))]
    best = coverage_at_risk(predicted, RISK)
    if best.coverage:
        points.append((f"most at {RISK:.1%} wrong", GREEN, best))
    if threshold is not None:
        points.append((f"threshold {threshold:.3f}", RED, at_threshold(predicted, threshold)))
    for name, colour, point in points:
        text = f"{name}: {point.coverage:.1%} answered, {point.error:.2%} wrong"
        axes.plot(point.coverage, max(point.error, least), "o", color=colour, markersize=8, label=text, zorder=3)
    axes.set_yscale("log")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(bottom=0.6 * least)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of the images that is answered, the surest first")
    axes.set_ylabel("share of the answers that is wrong")
    axes.set_title("risk–coverage curve")
    axes.grid(which="major", color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    return figure


def robustness(examples: Sequence[Images], rows: Sequence[dict[str, Any]]) -> Figure:
    """A few of the images `(K, C, H, W)` under each corruption, beside the accuracy of each network."""
    figure = Figure(figsize=(9, 0.56 * len(rows) + 0.6), layout="constrained")
    pictures, bars = figure.subplots(1, 2, width_ratios=(1, 1.1))
    side = SIDE + 4
    sheet = np.concatenate([_strip(some, side) for some in examples])
    pictures.imshow(sheet, aspect="auto")
    middles = np.arange(len(rows)) * side + side / 2
    pictures.set_yticks(middles, [row["name"] for row in rows])
    pictures.set_xticks([])
    pictures.tick_params(length=0)
    pictures.spines[:].set_visible(False)
    names = [network["name"] for network in rows[0]["networks"]]
    shown = side_by_side(names, len(COLOURS))
    height = 0.7 * side / len(shown)
    for number, index in enumerate(shown):
        accuracy = [row["networks"][index]["accuracy"] for row in rows]
        places = middles + (number - (len(shown) - 1) / 2) * height
        drawn = bars.barh(places, accuracy, height=0.9 * height, color=COLOURS[number], label=names[index])
        bars.bar_label(drawn, [f"{share:.1%}" for share in accuracy], padding=4, size=(9, 9, 8, 6)[len(shown) - 1])
    bars.set_ylim(len(rows) * side, 0)
    bars.set_yticks([])
    bars.set_xlim(0, 1.15)
    bars.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    bars.spines[["top", "right", "left"]].set_visible(False)
    note = left_out(names, len(COLOURS))
    bars.set_title(f"accuracy ({note})" if note else "accuracy", size=11, pad=6 if len(shown) == 1 else 24)
    if len(shown) > 1:
        bars.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=8, columnspacing=1)
    return figure


def _strip(images: Images, side: int) -> NDArray[np.uint8]:
    """Images `(K, C, H, W)` side by side, in a white frame: `(side, K * side, 3)`."""
    tiles = []
    for image in images:
        picture = as_picture(image).convert("RGB")
        picture.thumbnail((SIDE, SIDE))
        tile = np.full((side, side, 3), 255, np.uint8)
        top, left = (side - picture.height) // 2, (side - picture.width) // 2
        tile[top : top + picture.height, left : left + picture.width] = np.asarray(picture)
        tiles.append(tile)
    return np.concatenate(tiles, axis=1)
