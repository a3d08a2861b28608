"""The pictures of an evaluation, drawn without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from mnist_mlp.extras.evaluation.ensemble import Answers
from mnist_mlp.extras.evaluation.metrics import Reliability, confusion, reliability, wilson
from mnist_mlp.extras.inference.predictions import (
    Ints,
    OperatingPoint,
    Predictions,
    at_threshold,
    coverage_at_risk,
    risk_coverage,
)

BLUE, ORANGE, GREEN, GREY = "#2563a8", "#d9622b", "#3a923a", "#9a9a9a"
COLOURS = (BLUE, ORANGE, GREEN, GREY)
"""Of networks side by side; what has more shows the last ones."""
DPI = 150
ROWS, COLUMNS = 4, 4
RISK = 0.001

Images = NDArray[np.uint8]


def draw(folder: Path, answers: Answers, images: Images, class_names: Sequence[str]) -> None:
    """All pictures of one network into `folder`."""
    folder.mkdir(exist_ok=True)
    said = answers.calibrated
    raw = answers.raw if answers.calibration.temperature != 1 else None
    threshold = answers.calibration.threshold
    for name, figure in {
        "confusion": confusion_matrix(confusion(said), class_names),
        "mistakes": worst_mistakes(said, images, class_names),
        "reliability": reliability_diagram(said, raw),
        "risk_coverage": risk_coverage_curve(said, threshold or None),
    }.items():
        figure.savefig(folder / f"{name}.png", dpi=DPI)


def confusion_matrix(matrix: Ints, class_names: Sequence[str]) -> Figure:
    """Counts, shaded by the share of the row's class; the diagonal in another colour, so that mistakes stand out."""
    figure = Figure(figsize=(7.5, 7), layout="constrained")
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(matrix), dtype=bool)
    most = max(float(share[~right].max()), 1e-9)
    axes.imshow(np.where(right, np.nan, share), cmap="Oranges", vmin=0, vmax=1.3 * most)
    axes.imshow(np.where(right, share, np.nan), cmap="Blues", vmin=0, vmax=1.6)
    for row, column in np.ndindex(*matrix.shape):
        count = int(matrix[row, column])
        strong = row == column or count > 0
        axes.text(column, row, str(count), ha="center", va="center", color="#222222" if strong else "#cccccc", size=10)
    axes.set_xticks(range(len(class_names)), class_names, rotation=0 if _short(class_names) else 45)
    axes.set_yticks(range(len(class_names)), class_names)
    axes.set_xticks(np.arange(len(matrix) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(matrix) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("guess")
    axes.set_ylabel("true class")
    wrong = int(matrix.sum() - np.trace(matrix))
    axes.set_title(f"{wrong:,} of {int(matrix.sum()):,} wrong: accuracy {np.trace(matrix) / matrix.sum():.2%}", pad=12)
    return figure


def worst_mistakes(said: Predictions, images: Images, class_names: Sequence[str]) -> Figure:
    """The mistakes that the network was surest of, each with the probability of every class."""
    wrong = np.flatnonzero(~said.correct)
    shown = wrong[np.argsort(-said.confidences[wrong], kind="stable")][: ROWS * COLUMNS]
    figure = Figure(figsize=(13, 9.2), layout="constrained")
    title = f"the surest of {len(wrong):,} mistakes: true class green, guess orange" if len(wrong) else "no mistakes"
    figure.suptitle(title, size=14)
    places = figure.add_gridspec(ROWS, COLUMNS, wspace=0.1, hspace=0.12)
    for place, index in zip(places, shown, strict=False):  # type: ignore[call-overload]
        pair = place.subgridspec(1, 2, width_ratios=(1.3, 1))
        axes = [figure.add_subplot(pair[0]), figure.add_subplot(pair[1])]
        _mistake(axes, said, int(index), images[index], class_names)
    return figure


def _mistake(
    axes: Sequence[Axes], said: Predictions, index: int, image: NDArray[np.uint8], class_names: Sequence[str]
) -> None:
    picture, bars = axes
    label, guess = int(said.labels[index]), int(said.guesses[index])
    picture.imshow(image, cmap="gray", vmin=0, vmax=255)
    picture.set_xticks([])
    picture.set_yticks([])
    picture.set_xlabel(f"image {index}", size=8, color=GREY)
    between, size = (" ", 11) if _short(class_names) else ("\n", 9)
    picture.set_title(f"{class_names[label]}{between}taken for {class_names[guess]}", size=size)
    colours = [GREY] * len(class_names)
    colours[label], colours[guess] = GREEN, ORANGE
    bars.barh(range(len(class_names)), said.probabilities[index], color=colours, height=0.75)
    bars.set_yticks(range(len(class_names)), class_names, size=8)
    bars.invert_yaxis()
    bars.set_xlim(0, 1)
    bars.set_xticks([0, 1], ["0", "100%"], size=7)
    bars.spines[["top", "right"]].set_visible(False)
    bars.tick_params(length=2)
    bars.set_box_aspect(1.3)  # as high as the image
    bars.set_title(f"{said.confidences[index]:.1%}", size=11, color=ORANGE)


def reliability_diagram(said: Predictions, raw: Predictions | None = None) -> Figure:
    """How often a guess of each confidence is right, with 95% intervals, over how often it occurs.

    `raw` is what the network said before calibration.
    """
    figure = Figure(figsize=(7, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
    kinds = [("calibrated" if raw else "network", BLUE, said), *([("uncalibrated", ORANGE, raw)] if raw else [])]
    for number, (name, colour, predictions) in enumerate(kinds):
        bins = reliability(predictions)
        offset = 0.2 * (number - (len(kinds) - 1) / 2)
        _points(upper, bins, colour, f"{name}: ECE {bins.ece:.2%}", zorder=3 - number)
        width = np.diff(bins.edges)
        middle = (bins.edges[1:] + bins.edges[:-1]) / 2 + offset * width * 2
        lower.bar(middle, bins.counts, width=0.8 * width / len(kinds), color=colour)
    upper.set_ylabel("share that is right")
    upper.set_ylim(-0.02, 1.02)
    upper.legend(frameon=False, loc="lower right")
    upper.set_title("reliability: is a guess right as often as it is sure?")
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


def risk_coverage_curve(said: Predictions, threshold: float | None = None) -> Figure:
    """The error among the answers against how much is answered; `threshold` is the checkpoint's own."""
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    axes = figure.subplots()
    _, coverage, error = risk_coverage(said)
    least = 0.5 / len(said.labels)  # a place for "none" on a logarithmic axis
    axes.plot(coverage[error > 0], error[error > 0], color=BLUE, linewidth=1.8)
    points: list[tuple[str, str, OperatingPoint]] = [("all answered", GREY, at_threshold(said, 0.0))]
    best = coverage_at_risk(said, RISK)
    if best.coverage:
        points.append((f"most at {RISK:.1%} wrong", GREEN, best))
    if threshold is not None:
        points.append((f"threshold {threshold:.3f}", ORANGE, at_threshold(said, threshold)))
    for name, colour, point in points:
        text = f"{name}: {point.coverage:.1%} answered, {point.error:.2%} wrong"
        axes.plot(point.coverage, max(point.error, least), "o", color=colour, markersize=8, label=text, zorder=3)
    axes.set_yscale("log")
    axes.set_xlim(0, 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of the images that is answered, the surest first")
    axes.set_ylabel("share of the answers that is wrong")
    axes.set_title("what refusing the unsure is worth")
    axes.grid(which="major", color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    return figure


def robustness(examples: Sequence[Images], rows: Sequence[dict[str, Any]]) -> Figure:
    """A few of the images `(K, 28, 28)` under each corruption, beside the accuracy of each network."""
    figure = Figure(figsize=(9, 0.56 * len(rows) + 0.6), layout="constrained")
    pictures, bars = figure.subplots(1, 2, width_ratios=(1, 1.1))
    side = examples[0].shape[1] + 4
    sheet = np.concatenate([_strip(some, side) for some in examples])
    pictures.imshow(sheet, cmap="gray", vmin=0, vmax=255, aspect="auto")
    middles = np.arange(len(rows)) * side + side / 2
    pictures.set_yticks(middles, [row["name"] for row in rows])
    pictures.set_xticks([])
    pictures.tick_params(length=0)
    pictures.spines[:].set_visible(False)
    shown = [network["name"] for network in rows[0]["networks"]][-len(COLOURS) :]  # a committee comes last
    height = 0.7 * side / len(shown)
    for number, name in enumerate(shown):
        accuracy = [row["networks"][number - len(shown)]["accuracy"] for row in rows]
        places = middles + (number - (len(shown) - 1) / 2) * height
        drawn = bars.barh(places, accuracy, height=0.9 * height, color=COLOURS[number], label=name)
        bars.bar_label(drawn, [f"{share:.1%}" for share in accuracy], padding=4, size=(9, 9, 8, 6)[len(shown) - 1])
    bars.set_ylim(len(rows) * side, 0)
    bars.set_yticks([])
    bars.set_xlim(0, 1.15)
    bars.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    bars.spines[["top", "right", "left"]].set_visible(False)
    bars.set_title("accuracy", size=11, pad=6 if len(shown) == 1 else 24)
    if len(shown) > 1:
        bars.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=8, columnspacing=1)
    return figure


def _strip(images: Images, side: int) -> NDArray[np.float64]:
    """Images side by side, in a white frame: `(side, K * side)`."""
    margin = (side - images.shape[1]) // 2
    framed = np.pad(images.astype(float), ((0, 0), (margin, margin), (margin, margin)), constant_values=255)
    return np.concatenate(list(framed), axis=1)


def _short(names: Sequence[str]) -> bool:
    return max(map(len, names)) <= 3
