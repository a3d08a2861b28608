"""The digits of a picture, from its grey levels: the one function that everything else here serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_mlp.extras.handwriting.connected_components import Box, Labels, gather, reading_order
from mnist_mlp.extras.handwriting.ink_map import Grey, Ink, ink_map
from mnist_mlp.extras.handwriting.mnist_format import as_mnist
from mnist_mlp.extras.handwriting.text_regions import find_writing, grown

MOST_PIECES = 200  # a page of text or of noise has more; it is no number
SHEET_SIDE = 0.5  # of the picture's sides: a piece that is longer on both ...
SHEET_FILL = 0.6  # ... and fills this much of its box is a sheet of paper


@dataclass(frozen=True)
class Digit:
    image: NDArray[np.uint8]
    """(28, 28), white on black."""
    box: Box
    """Where it stands in the picture."""


def find_digits(grey: Grey) -> list[Digit]:
    """The digits of a picture (H, W), line by line, left to right; none on a blank page."""
    ink = ink_map(grey)
    labels, boxes = find_writing(ink)
    if not 0 < len(boxes) <= MOST_PIECES:
        return []
    for number, box in enumerate(boxes, start=1):
        if _is_sheet(labels, number, box):
            inside = find_digits(grey[box.y0 : box.y1, box.x0 : box.x1])
            if inside:
                return [Digit(digit.image, digit.box.moved(box.x0, box.y0)) for digit in inside]
    digits = [_cut_out(ink, labels, boxes, members) for members in gather(boxes)]
    return [digits[i] for i in reading_order([digit.box for digit in digits])]


def _is_sheet(labels: Labels, number: int, box: Box) -> bool:
    """Whether a piece is no pen but the paper itself, brighter (or darker) than the table that it lies on."""
    height, width = labels.shape
    if box.area == labels.size or box.width < SHEET_SIDE * width or box.height < SHEET_SIDE * height:
        return False
    return int(np.count_nonzero(labels[box.y0 : box.y1, box.x0 : box.x1] == number)) > SHEET_FILL * box.area


def _cut_out(ink: Ink, labels: Labels, boxes: list[Box], members: list[int]) -> Digit:
    """The digit made of the pieces at positions `members`, with the grey rim of its strokes and nothing beside it."""
    box = boxes[members[0]]
    for member in members[1:]:
        box = box.union(boxes[member])
    rim = slice(max(box.y0 - 1, 0), box.y1 + 1), slice(max(box.x0 - 1, 0), box.x1 + 1)
    own = np.isin(labels[rim], np.array(members) + 1)
    return Digit(as_mnist(ink[rim] * grown(own)), box)
