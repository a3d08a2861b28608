"""A picture of what was read: each original, the answer in large letters, and the 28 x 28 that the network saw.

Files stand in two columns, so that twice as many of them fit on a screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from mnist_mlp.data.image_file import open_image
from mnist_mlp.extras.handwriting.mnist_format import SIDE
from mnist_mlp.extras.handwriting.output import shown
from mnist_mlp.extras.handwriting.reader import OK, Guess, Reading

ORIGINAL_PIXELS = 640  # the longer side of an original, as drawn
SURE, UNSURE, OTHER, TEXT, FAINT = "#0b6fc2", "#b45309", "#c3ccd8", "#1e293b", "#64748b"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": TEXT,
    "axes.edgecolor": OTHER,
    "text.parse_math": False,
}
DPI = 100
# Inches.
WIDTH, HEIGHT, EDGE = 6.4, 2.15, 0.15  # of a file's cell
ORIGINAL, BESIDE = 2.1, 2.45  # width of the original; where answer, name and digits begin, to the right of it
ANSWER, NAME, TILES = 0.5, 0.4, 1.0  # heights of the answer, of the file's name, of the digits seen
STRIP, WORDS = 0.65, 3.25  # height of a long original, above all the rest; width of the answer and the name below it
LARGEST, READABLE, SMALL = 27, 13, 10  # points: of the answer, of an answer in one line at least, of other text
LONG = 4  # times its height: an original that is wider is a long one
NAME_LENGTH = 40  # characters
IN_A_ROW, ROWS = 12, 2  # digits seen of one file, at most
WITH_PROBABILITY = 5  # digits; more of them leave no space for it


def draw(readings: Sequence[Reading], path: Path) -> None:
    """Write the picture to `path`: a cell for each file.

    Raises:
        OSError: it cannot be written.
    """
    columns = min(len(readings), 2)
    rows = -(-len(readings) // columns)
    width, height = columns * WIDTH, rows * HEIGHT
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        for place, reading in enumerate(readings):
            row, column = divmod(place, columns)
            left, top = column * WIDTH, row * HEIGHT + EDGE

            def axes(x: float, y: float, wide: float, tall: float, left: float = left, top: float = top) -> Axes:
                place = (left + x) / width, 1 - (top + y + tall) / height, wide / width, tall / height
                return figure.add_axes(place)

            image = open_image(reading.file)
            if image.width > LONG * image.height:
                below, right = STRIP + EDGE, 2 * EDGE + WORDS
                _original(axes(EDGE, 0, WIDTH - 2 * EDGE, STRIP), image, reading.guesses)
                _answer(axes(EDGE, below, WORDS, ANSWER + NAME), reading)
                _seen(axes(right, below, WIDTH - right - EDGE, TILES), reading.guesses)
            else:
                beside = WIDTH - BESIDE - EDGE
                _original(axes(EDGE, 0, ORIGINAL, HEIGHT - 2 * EDGE), image, reading.guesses)
                _answer(axes(BESIDE, 0, beside, ANSWER + NAME), reading)
                _seen(axes(BESIDE, ANSWER + NAME, beside, TILES), reading.guesses)
        figure.savefig(path, dpi=DPI, facecolor="white")


def _answer(axes: Axes, reading: Reading) -> None:
    """The digits read, as large as fits, above the file's name and a doubt. More digits than `_seen` shows are cut."""
    axes.set_axis_off()
    tall = ANSWER + NAME
    count, most = len(reading.guesses), ROWS * IN_A_ROW
    marks = [guess.marked for guess in reading.guesses[:most]]
    answer = axes.text(0, 1, "".join(marks), weight="bold", va="top", color=SURE if reading.status == OK else UNSURE)
    if _fit(answer, LARGEST) < READABLE:
        answer.set_text("\n".join("".join(marks[n : n + IN_A_ROW]) for n in range(0, len(marks), IN_A_ROW)))
        _fit(answer, READABLE)
    part = f": the first {most} of {count} digits" if count > most else ""
    _fit(axes.text(0, NAME / tall, shown(reading.file, NAME_LENGTH) + part, va="top", color=FAINT), SMALL)
    if reading.message:
        _fit(axes.text(0, NAME / 2 / tall, f"unsure: {reading.message}", va="top", color=UNSURE), SMALL)


def _fit(text: Text, size: float) -> float:
    """Give a text this size in points, or the largest with which it is no wider than its axes; returns its size."""
    assert text.axes is not None
    text.set_fontsize(size)
    size *= min(1.0, text.axes.bbox.width / max(text.get_window_extent().width, 1.0))
    text.set_fontsize(size)
    return size


def _original(axes: Axes, image: Image.Image, guesses: Sequence[Guess]) -> None:
    width, height = image.size
    if image.mode.startswith("I;16"):  # which Pillow cannot shrink
        image = image.convert("I")
    image.thumbnail((ORIGINAL_PIXELS, ORIGINAL_PIXELS))
    axes.imshow(_on_white(image), extent=(0, width, height, 0), interpolation="antialiased")
    axes.set(xticks=[], yticks=[], anchor="NW")
    margin = 0.02 * max(width, height)
    for guess in guesses:
        box = guess.box
        corner, size = (box.x0 - margin, box.y0 - margin), (box.width + 2 * margin, box.height + 2 * margin)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=_colour(guess), linewidth=1.4))


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


def _seen(axes: Axes, guesses: Sequence[Guess]) -> None:
    """The 28 x 28 of every digit, what it was taken for above it, and below how probable that is."""
    guesses = guesses[: ROWS * IN_A_ROW]
    across = min(len(guesses), IN_A_ROW)
    rows = -(-len(guesses) // IN_A_ROW)
    aspect = axes.bbox.width / axes.bbox.height
    # Lengths in pixels of the 28 x 28. A caption stands above each digit, and one below where it fits.
    step = SIDE + 2
    # The more digits stand in a row, the smaller each is drawn, and the more of its pixels a line of text takes.
    above = max(0.22 * step, 0.07 * across * step)
    below = above if len(guesses) <= WITH_PROBABILITY else 0.0
    tall = rows * (step + above + below)
    axes.set(aspect="equal", anchor="NW")
    axes.set_axis_off()
    for number, guess in enumerate(guesses):
        row, column = divmod(number, IN_A_ROW)
        x, y = column * step, row * (step + above + below) + above
        axes.imshow(guess.image, cmap="gray", vmin=0, vmax=255, extent=(x, x + SIDE, y + SIDE, y), aspect="equal")
        axes.text(x + SIDE / 2, y - 1, guess.marked, ha="center", va="bottom", weight="bold", color=_colour(guess))
        if below:
            axes.text(
                x + SIDE / 2, y + SIDE + 1, f"{100 * guess.probability:.1f} %", ha="center", va="top", color=FAINT
            )
    axes.set(xlim=(0, max(across * step, aspect * tall)), ylim=(tall, 0))


def _colour(guess: Guess) -> str:
    return SURE if guess.doubt is None else UNSURE
