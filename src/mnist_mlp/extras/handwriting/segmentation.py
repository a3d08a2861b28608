"""The digits of a picture, from its grey levels: the one function that everything else here serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mnist_mlp.extras.handwriting.connected_components import Box, Labels, gather, reading_order
from mnist_mlp.extras.handwriting.ink_map import Grey, Ink, dark_on_light, ink_map
from mnist_mlp.extras.handwriting.mnist_format import as_mnist, widening
from mnist_mlp.extras.handwriting.resampling import Map
from mnist_mlp.extras.handwriting.text_regions import find_writing, grown
from mnist_mlp.extras.handwriting.touching_digits import left_of_cut

MOST_PIECES = 200  # a page of text or of noise has more; it is no number
# A piece may be a sheet of paper if both its sides are longer than this part of the picture's shorter side, and it
# fills this part of its box.
SHEET_SIDE, SHEET_FILL = 0.15, 0.72
# Share of the pixels inside a piece's outline that belong to the piece. The others are holes, which writing makes in a
# sheet of paper. Below the first value the piece is a bold digit with large holes; above the second, nothing is written
# on the sheet.
SHEET_WHOLE = 0.85, 0.99
SHEET_RIM = 0.03  # of a sheet's longer side, left out as its edge
# At least this share of the pixels around a piece of writing is paper. At the edge of a shadow or of a patch of light
# it is less: paper lies on one side only.
LEAST_PAPER = 0.55
LEAST_RING = 8  # pixels around a piece; with fewer it counts as surrounded by paper
# A picture of at most so many pixels a side is taken as a single digit: shrinking may have broken its strokes into
# several pieces.
THUMBNAIL = 32
WIDE = 1.2  # times its height: a piece from this width on may be two digits that touch, and hardly a single letter
CONTENT = 0.25  # of the height of a sheet, frame or circle: what is written inside is at least so tall


@dataclass(frozen=True)
class Digit:
    image: NDArray[np.uint8]
    """(28, 28), white on black."""
    box: Box
    """Where it stands in the picture."""
    halves: tuple[Digit, ...] = ()
    """The same piece as two digits that touch, left and right, where it is wide enough; or none."""
    is_half: bool = False

    def with_boxes(self, change: Callable[[Box], Box]) -> Digit:
        """The same digit, with `change` applied to its box and to those of its halves."""
        return replace(self, box=change(self.box), halves=tuple(half.with_boxes(change) for half in self.halves))

    def moved(self, right: int, down: int) -> Digit:
        return self.with_boxes(lambda box: box.moved(right, down))


def find_digits(grey: Grey) -> list[Digit]:
    """The digits of a picture (H, W) of one pixel or more, line by line, left to right; none on a blank page."""
    for flipped in (False, True):  # a bright patch of light may have been taken for the pen
        ink, labels, boxes = _written(dark_on_light(grey, flipped=flipped))
        if boxes:
            break
    if not 0 < len(boxes) <= MOST_PIECES:
        return []
    for number, box in enumerate(boxes, start=1):
        if _may_be_sheet(labels, number, box):
            page = _sheet(grey, labels, number, box)
            inside = find_digits(page) if page is not None else []
            if inside and all(digit.box.height >= CONTENT * box.height for digit in inside):
                return [digit.moved(box.x0, box.y0) for digit in inside]
    kept = [i for i in range(len(boxes)) if not _is_frame(labels, i, boxes)]
    together = [kept]
    if max(grey.shape) > THUMBNAIL:
        together = [[kept[member] for member in members] for members in gather([boxes[i] for i in kept])]
    digit_boxes = [reduce(Box.union, [boxes[i] for i in members]) for members in together]
    widen_by = widening(digit_boxes)
    digits = [_cut_out(ink, labels, members, box, widen_by) for members, box in zip(together, digit_boxes, strict=True)]
    return [digits[i] for i in reading_order(digit_boxes)]


def _written(page: Map) -> tuple[Ink, Labels, list[Box]]:
    """Ink, labels and boxes of the pieces of a page with dark writing, without the edges of lights and shadows."""
    ink = ink_map(page)
    while True:
        labels, boxes = find_writing(ink)
        if len(boxes) > MOST_PIECES:
            return ink, labels, boxes
        edges = [n for n, box in enumerate(boxes, start=1) if not _is_surrounded_by_paper(page, ink, labels, n, box)]
        if not edges:
            return ink, labels, boxes
        ink = np.where(grown(np.isin(labels, edges)), np.float32(0), ink)


def _is_surrounded_by_paper(page: Map, ink: Ink, labels: Labels, number: int, box: Box) -> bool:
    """Whether what surrounds a piece is paper rather than pen.

    If the piece is only the edge of a shadow, the pixels on one side are as dark as the piece itself.
    """
    window = slice(max(box.y0 - 4, 0), box.y1 + 4), slice(max(box.x0 - 4, 0), box.x1 + 4)
    own = labels[window] == number
    near = grown(grown(own))
    ring = page[window][grown(near) & ~near & ~grown(labels[window] > 0)]
    if ring.size < LEAST_RING:
        return True
    # A level between the pen's, m, and the paper's, p. Ink is (p - m) / p, so p = m / (1 - ink). The harmonic mean of m
    # and p is m / (1 - ink / 2), which is finite for ink = 1 too.
    between_pen_and_paper = page[window][own].mean() / (1 - ink[window][own].mean() / 2)
    return bool(np.count_nonzero(ring >= between_pen_and_paper) >= LEAST_PAPER * ring.size)


def _may_be_sheet(labels: Labels, number: int, box: Box) -> bool:
    """Whether a piece may be not ink but the paper itself, brighter (or darker) than the table that it lies on."""
    least = SHEET_SIDE * min(labels.shape)
    if box.area == labels.size or box.width < least or box.height < least:
        return False
    return int(np.count_nonzero(labels[box.y0 : box.y1, box.x0 : box.x1] == number)) > SHEET_FILL * box.area


def _sheet(grey: Grey, labels: Labels, number: int, box: Box) -> Grey | None:
    """The picture in a sheet's box, with the sheet's own grey where the table shows beside it, as at tilted corners.

    None where the piece is no sheet.
    """
    window = slice(box.y0, box.y1), slice(box.x0, box.x1)
    own = labels[window] == number
    # Between the first and the last of its pixels in a row, and in a column.
    spans = [np.logical_or.accumulate(part, axis) for axis in (0, 1) for part in (own, np.flip(own, axis))]
    inside = spans[0] & np.flip(spans[1], 0) & spans[2] & np.flip(spans[3], 1)
    if not SHEET_WHOLE[0] <= np.count_nonzero(own) / np.count_nonzero(inside) <= SHEET_WHOLE[1]:
        return None
    beside = ~np.pad(inside, 1)
    for _ in range(max(1, int(SHEET_RIM * box.longest + 0.5))):
        beside = grown(beside)
    page = grey[window].copy()
    page[beside[1:-1, 1:-1]] = np.sort(page[own])[np.count_nonzero(own) // 2]
    return page


def _is_frame(labels: Labels, i: int, boxes: list[Box]) -> bool:
    """Whether the piece at position `i` goes around another one on all four sides: a frame, a form's cell, a circle."""
    box = boxes[i]
    for content in boxes:
        if box.holds(content) and content.height >= CONTENT * box.height:
            x, y = content.middle
            row, column = labels[y] == i + 1, labels[:, x] == i + 1
            sides = row[: content.x0], row[content.x1 :], column[: content.y0], column[content.y1 :]
            if all(side.any() for side in sides):
                return True
    return False


def _cut_out(ink: Ink, labels: Labels, members: list[int], box: Box, widen_by: float) -> Digit:
    """The digit made of the pieces at positions `members`, with the grey rim of its strokes and nothing beside it.

    Args:
        widen_by: its image is made so many times as wide; its box stays.
    """
    rim = slice(max(box.y0 - 1, 0), box.y1 + 1), slice(max(box.x0 - 1, 0), box.x1 + 1)
    own = np.isin(labels[rim], np.array(members) + 1)
    patch = ink[rim] * grown(own)
    halves = _halves(patch, own, widen_by) if box.width >= WIDE * box.height else []
    return Digit(as_mnist(patch, widen_by), box, tuple(half.moved(rim[1].start, rim[0].start) for half in halves))


def _halves(patch: Ink, own: NDArray[np.bool_], widen_by: float) -> list[Digit]:
    """The ink (H, W) of a piece and its pixels, cut in two; their boxes in the patch.

    No digits where one half is empty.
    """
    is_left = left_of_cut(patch)
    found = []
    for side in (is_left, ~is_left):
        rows, columns = (np.flatnonzero((own & side).any(axis)) for axis in (1, 0))
        if rows.size == 0:
            return []
        box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        found.append(Digit(as_mnist(patch * side, widen_by), box, is_half=True))
    return found
