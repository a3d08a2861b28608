"""A picture of what was read: the original, what the network saw of each digit, and how sure it is of every class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mnist_mlp.data.image_file import open_image
from mnist_mlp.extras.handwriting.output import shown
from mnist_mlp.extras.handwriting.reader import OK, Guess, Reading

MOST_DIGITS = 12  # of one file
ORIGINAL_PIXELS = 800  # the longer side of an original, as drawn
SURE, UNSURE, OTHER, TEXT, FAINT = "#0b6fc2", "#d97706", "#c3ccd8", "#1e293b", "#64748b"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": TEXT,
    "axes.edgecolor": OTHER,
    "xtick.color": FAINT,
    "ytick.color": TEXT,
}
# Inches.
WIDTH, HEAD, ROW, EDGE = 9.0, 0.55, 2.0, 0.3
ORIGINAL, SEEN, BARS = (EDGE, 3.3), (3.9, 1.6), (5.95, 2.35)  # left side and width of the three columns


def draw(readings: Sequence[Reading], path: Path) -> None:
    """Write the picture to `path`: a band for each file, with a row for each of its digits.

    Raises:
        OSError: it cannot be written.
    """
    rows = [min(len(reading.guesses), MOST_DIGITS) for reading in readings]
    height = sum(HEAD + max(ROW * count, 2.6) for count in rows) + EDGE
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))

        def axes(left: float, top: float, width: float, tall: float) -> Axes:
            return figure.add_axes((left / WIDTH, 1 - (top + tall) / height, width / WIDTH, tall / height))

        top = EDGE / 2
        for reading, count in zip(readings, rows, strict=True):
            band = max(ROW * count, 2.6)
            _head(axes(EDGE, top, WIDTH - 2 * EDGE, HEAD), reading)
            top += HEAD
            _original(axes(ORIGINAL[0], top, ORIGINAL[1], band - 0.2), reading)
            tall = band / count if count == 1 else ROW
            for row, guess in enumerate(reading.guesses[:count]):
                seen = min(SEEN[1], tall - 0.3)
                _seen(axes(SEEN[0], top + row * tall, seen, tall - 0.3), guess)
                _bars(axes(BARS[0], top + row * tall, BARS[1], tall - 0.3), guess)
            top += band
        figure.savefig(path, dpi=130, facecolor="white")


def _head(axes: Axes, reading: Reading) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    answer = axes.text(
        0, 0.5, reading.marked, size=19, weight="bold", va="center", color=SURE if reading.status == OK else UNSURE
    )
    note = shown(reading.file) + (f"    unsure: {reading.message}" if reading.message else "")
    axes.annotate(note, (1, 0.5), xycoords=answer, xytext=(10, 0), textcoords="offset points", va="center", color=FAINT)
    axes.axhline(1, color=OTHER, linewidth=0.8)


def _original(axes: Axes, reading: Reading) -> None:
    image = open_image(reading.file)
    width, height = image.size
    image.thumbnail((ORIGINAL_PIXELS, ORIGINAL_PIXELS))
    axes.imshow(_on_white(image), extent=(0, width, height, 0), interpolation="antialiased")
    axes.set(xticks=[], yticks=[], anchor="NW")
    for number, guess in enumerate(reading.guesses, start=1):
        box, colour = guess.box, _colour(guess)
        room = 0.02 * max(width, height)
        corner, size = (box.x0 - room, box.y0 - room), (box.width + 2 * room, box.height + 2 * room)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.4))
        if len(reading.guesses) > 1:
            axes.text(
                *corner, f"{number}", color="white", size=7, va="bottom", bbox={"fc": colour, "lw": 0, "pad": 1.5}
            )


def _on_white(image: Any) -> np.ndarray:
    """The colours (H, W, 3) as a page would show them, also where the picture is transparent."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float64)
        return np.repeat(((values - values.min()) / max(np.ptp(values), 1e-9))[..., None], 3, axis=2)
    rgba = np.asarray(image.convert("RGBA"), np.float32) / 255
    alpha = rgba[..., 3:]
    mean = (rgba[..., :3] * alpha).sum() / max(3 * alpha.sum(), 1e-9)
    ground = 0.25 if alpha.min() < 1 and mean > 0.6 else 1.0  # white strokes on nothing would vanish on white
    return np.asarray(rgba[..., :3] * alpha + ground * (1 - alpha))


def _seen(axes: Axes, guess: Guess) -> None:
    axes.imshow(guess.image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[], anchor="N")
    axes.set_xlabel("28 x 28, as the network sees it", size=7, color=FAINT, labelpad=3)


def _bars(axes: Axes, guess: Guess) -> None:
    classes = np.arange(len(guess.probabilities))
    colours = [_colour(guess) if c == guess.digit else OTHER for c in classes]
    axes.barh(classes, guess.probabilities, color=colours, height=0.72)
    axes.set(xlim=(0, 1), ylim=(len(classes) - 0.4, -0.6), yticks=classes, xticks=[0, 0.5, 1])
    axes.set_xticklabels(["0", "class probability", "100 %"], size=7)
    axes.tick_params(length=0, pad=3)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    for c in (guess.digit, guess.second):
        probability = float(guess.probabilities[c])
        inside = probability > 0.7
        if probability >= 0.001:
            axes.text(
                probability + (-0.02 if inside else 0.02),
                c,
                f"{100 * probability:.1f} %",
                size=8,
                va="center",
                ha="right" if inside else "left",
                color="white" if inside else TEXT,
            )


def _colour(guess: Guess) -> str:
    return SURE if guess.doubt is None else UNSURE
