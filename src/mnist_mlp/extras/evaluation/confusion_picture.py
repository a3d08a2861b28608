"""The confusion matrix as a picture, drawn in milliseconds: for TensorBoard while a network waits, and for evaluate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnist_mlp.extras.colours import BLUE, FAINT, INK, RED
from mnist_mlp.extras.evaluation.lettering import width, write, write_standing, write_upwards
from mnist_mlp.extras.text_table import shortened

CELL = 32  # pixels, with the count written into it
COUNTED = 25  # with more classes, no counts are written into the cells
SIDE = 600  # pixels of a matrix of more than COUNTED classes; of more than 600 classes, each is one pixel wide
NAME = 22  # characters of a class name, at most
CAPTION = "rows: the true class; columns: the network's guess"


def confusion_picture(counts: NDArray[np.int64], names: Sequence[str], *, scale: int = 1) -> Image.Image:
    """Counts `(truth, guess)`, `(C, C)`: right answers in blue, darker for a larger share of the row; mistakes in red.

    `scale` enlarges everything; at 1 it is as wide as a card of TensorBoard.
    """
    classes = len(names)
    cell = CELL * scale if classes <= COUNTED else max(1, SIDE * scale // classes)
    names = [shortened(name, NAME) for name in names]
    margin = (18 + 7 * max(map(len, names))) * scale
    side = margin + cell * classes + 4 * scale
    wide_enough = max(side, margin + width(CAPTION, 12 * scale))
    picture = Image.new("RGB", (wide_enough, side + 16 * scale), "white")
    strength = _strength(counts)
    picture.paste(Image.fromarray(_cells(strength, cell)), (margin, margin))
    if classes <= COUNTED:
        for truth, guess in np.argwhere(counts).tolist():
            ink = "white" if strength[truth, guess] > 0.55 else INK
            place = margin + cell * guess + cell // 2, margin + cell * truth + cell // 2
            write(picture, str(counts[truth, guess]), 13 * scale, ink, place, align=0.5)
    every = -(-14 * scale // cell)  # label every n-th class, so that names do not overlap
    widest = max(width(name, 13 * scale) for name in names[::every])
    write_above = write_upwards if widest + 3 * scale > cell * every else write_standing
    for index in range(0, classes, every):
        middle = margin + cell * index + cell // 2
        write(picture, names[index], 13 * scale, INK, (margin - 7 * scale, middle), align=1)
        write_above(picture, names[index], 13 * scale, INK, (middle, margin - 7 * scale))
    write(picture, CAPTION, 12 * scale, FAINT, (margin, side + 8 * scale), align=0)
    return picture


def _strength(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """How dark each cell is, in [0, 1]: the share of its row; of mistakes, relative to the largest such share."""
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(counts), dtype=bool)
    worst = shares[~right].max(initial=0.0) or 1.0
    return np.where(right, shares, shares / worst)


def _cells(strength: NDArray[np.float64], cell: int) -> NDArray[np.uint8]:
    """`(C * cell, C * cell, 3)`, with a white line around each cell that is large enough for one."""
    end = np.where(np.eye(len(strength), dtype=bool)[:, :, None], BLUE, RED)
    colours = (255 + strength[:, :, None] * (end - 255.0)).round().astype(np.uint8)
    cells = colours.repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= 6:
        for line in (0, cell - 1):
            cells[line::cell] = cells[:, line::cell] = 255
    return cells
