"""Text regions of a map of ink: connected pieces of ink, without the frame of a photograph and specks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnist_mlp.extras.handwriting.connected_components import Box, Labels, label
from mnist_mlp.extras.handwriting.ink_map import Ink

LEAST_CONTRAST = 0.06  # ink below it is paper
NOISE = 6  # times the noise of the paper: ink below it is paper, too
PEN_SHARE = 0.4  # of the pen's own ink: what is darker is pen
LEAST_LENGTH = 4  # pixels of the longest piece, below which nothing is written
LEAST_SHARE = 0.02  # the same limit, as a share of the picture's shorter side
# The same share after pieces along the edge were removed: what remains may be a remnant of them.
LEAST_SHARE_INSIDE = 0.04
SPECK = 0.08  # of the longest piece: a shorter piece is a speck and is dropped


def find_writing(ink: Ink) -> tuple[Labels, list[Box]]:
    """Labels (H, W), 0 outside and 1.. for each piece, with every piece's box; no boxes on a blank page.

    What lies along the edge of the picture, as a dark table around the paper, is removed layer by layer. If nothing
    remains, what was removed may be writing in a tightly cropped picture.
    """
    least = max(LEAST_LENGTH, LEAST_SHARE * min(ink.shape))
    pen = _pen_level(ink)
    labels, boxes = _pieces(ink, pen, least)
    while (sides := _sides_followed(labels, boxes)).any():
        ink = np.where(grown(sides[labels] > 0), 0, ink)
        faintest_removed, pen = PEN_SHARE * pen, _pen_level(ink)
        inner, inner_boxes = _pieces(ink, pen, max(LEAST_LENGTH, LEAST_SHARE_INSIDE * min(ink.shape)))
        if not inner_boxes or pen <= faintest_removed:  # too faint to count before: perhaps a blurred rim
            filled = np.bincount(labels.ravel(), minlength=len(sides)) / [1, *(box.area for box in boxes)]
            fills = [
                _fills_picture(box, ink.shape, count, share)
                for box, count, share in zip(boxes, sides[1:], filled[1:], strict=True)
            ]
            return _only(np.array(fills), labels, boxes)
        labels, boxes = inner, inner_boxes
    return labels, boxes


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask (H, W) and all pixels beside it, corners included."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    out = tall.copy()
    out[:, 1:] |= tall[:, :-1]
    out[:, :-1] |= tall[:, 1:]
    return out


def _pieces(ink: Ink, pen: float, least: float) -> tuple[Labels, list[Box]]:
    """Labels (H, W) and boxes of what is dark enough; none where no piece is `least` pixels long."""
    if pen > 0:
        labels, boxes = label(ink >= PEN_SHARE * pen)
        longest = max((box.longest for box in boxes), default=0)
        if longest >= least:
            return _only(np.array([box.longest >= max(SPECK * longest, 2) for box in boxes]), labels, boxes)
    return np.zeros(ink.shape, np.int32), []


def _only(kept: NDArray[np.bool_], labels: Labels, boxes: list[Box]) -> tuple[Labels, list[Box]]:
    """The pieces that are `kept` `(len(boxes),)`, numbered anew in the same order."""
    numbers = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
    return numbers[labels], [box for box, keep in zip(boxes, kept, strict=True) if keep]


def _pen_level(ink: Ink) -> float:
    """How dark the pen is, as ink, or 0 where nothing stands out from the paper."""
    noise = float(np.median(np.abs(np.diff(ink, axis=1)))) if ink.shape[1] > 1 else 0.0
    floor = max(LEAST_CONTRAST, NOISE * noise)
    marks = ink[ink > floor]
    if marks.size == 0:
        return 0.0
    return max(float(marks[marks >= _otsu(marks)].mean()), 2 * floor)


def _otsu(values: Ink) -> float:
    """The level in [0, 1] that best splits the values in two, by Otsu's criterion on 64 bins; 0 if there is one bin."""
    counts, edges = np.histogram(values, 64, (0, 1))
    middle = (edges[1:] + edges[:-1]) / 2
    below, mass = np.cumsum(counts), np.cumsum(counts * middle)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    apart = np.nan_to_num(apart)
    return float(edges[1 + int(np.argmax(apart))]) if apart.max() > 0 else 0.0


def _sides_followed(labels: Labels, boxes: list[Box]) -> NDArray[np.int64]:
    """For each label, 0 first: how many sides of the picture the piece follows.

    It follows a side that it touches along more than half of its width (top, bottom) or height (left, right).
    """
    wide = np.array([np.inf] + [box.width for box in boxes])
    tall = np.array([np.inf] + [box.height for box in boxes])
    rows = [np.bincount(labels[row], minlength=len(wide)) > 0.5 * wide for row in (0, -1)]
    columns = [np.bincount(labels[:, column], minlength=len(wide)) > 0.5 * tall for column in (0, -1)]
    sides: NDArray[np.int64] = np.sum([*rows, *columns], axis=0)
    return sides


def _fills_picture(box: Box, shape: tuple[int, ...], sides: int, filled: float) -> bool:
    """Whether a piece along `sides` sides of the picture is a digit that fills it, rather than a table or a shadow.

    Of pieces along three or four sides, a table leaves most of its box (the paper) empty; a thick digit does not.
    """
    return (sides <= 2 or filled > 0.5) and box.height > 0.5 * shape[0] and box.width > 0.5 * shape[1]
