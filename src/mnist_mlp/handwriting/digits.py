"""From a picture to the digits in it, each as MNIST's own were made: (28, 28), white on black, centred."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnist_mlp.handwriting.ink import Ink, ink_map
from mnist_mlp.handwriting.pieces import Box, Labels, gather, label, reading_order
from mnist_mlp.handwriting.resampling import resample

SIDE = 28
FIT = 20  # the longer side of a digit within the 28
THINNEST = 2  # pixels
MIN_CONTRAST = 0.06
MIN_HEIGHT = 4
MOST = 100


@dataclass(frozen=True)
class Digit:
    """One digit: `image` (28, 28) uint8 and where it stood, (x0, y0, x1, y1) in the picture's own pixels."""

    image: NDArray[np.uint8]
    box: tuple[int, int, int, int]


def find_digits(picture: Image.Image) -> list[Digit]:
    """Return the digits of a picture, line by line, left to right; none for a blank page."""
    ink, shrink = ink_map(picture)
    labels, boxes = writing(ink)
    if not boxes:
        return []
    tallest = max(max(b.height, b.width) for b in boxes)
    kept = [i for i in range(len(boxes)) if max(boxes[i].height, boxes[i].width) >= max(0.08 * tallest, 2)]
    if len(kept) > MOST:
        return []
    groups = [[kept[j] for j in members] for members in gather([boxes[i] for i in kept])]
    found = []
    for members in groups:
        box = boxes[members[0]]
        for m in members[1:]:
            box = box.union(boxes[m])
        found.append((box, members))
    digits = []
    for n in reading_order([b for b, _ in found]):
        box, members = found[n]
        x0, y0, x1, y1 = max(box.x0 - 1, 0), max(box.y0 - 1, 0), box.x1 + 1, box.y1 + 1
        core = np.isin(labels[y0:y1, x0:x1], np.array(members) + 1)
        patch = ink[y0:y1, x0:x1]
        patch = saturated(patch * grown(core))
        digits.append(Digit(as_mnist(patch), (shrink * box.x0, shrink * box.y0, shrink * box.x1, shrink * box.y1)))
    return digits


def writing(ink: Ink) -> tuple[Labels, list[Box]]:
    """Return the labels (H, W) and boxes of the pieces of writing, without what lies along the picture's frame."""
    least = max(MIN_HEIGHT, 0.02 * min(ink.shape))
    found = pieces_of(ink, least)
    labels, boxes = found
    frame = touches_frame(labels, boxes)
    while frame.any():
        ink = np.where(grown(frame[labels]), 0, ink)
        rest = pieces_of(ink, max(least, 0.1 * min(ink.shape)))
        labels, boxes = rest
        if not boxes:
            break
        found = rest
        frame = touches_frame(labels, boxes)
    return found


def pieces_of(ink: Ink, least: float) -> tuple[Labels, list[Box]]:
    """Return the labels (H, W) and boxes of what is dark enough, or none where no piece is `least` pixels long."""
    level = pen_level(ink)
    if level is not None:
        labels, boxes = label(ink >= level / 2.5)
        if max((max(b.height, b.width) for b in boxes), default=0) >= least:
            return labels, boxes
    return np.zeros(ink.shape, np.int32), []


def touches_frame(labels: Labels, boxes: list[Box]) -> NDArray[np.bool_]:
    """Which labels (0 first, never) lie along the frame with at least half of a side."""
    count = len(boxes) + 1
    wide = np.array([1e9] + [b.width for b in boxes])
    tall = np.array([1e9] + [b.height for b in boxes])
    across = np.maximum(*(np.bincount(labels[i], minlength=count) for i in (0, -1)))
    down = np.maximum(*(np.bincount(labels[:, i], minlength=count) for i in (0, -1)))
    return (across > 0.5 * wide) | (down > 0.5 * tall)


def pen_level(ink: Ink) -> float | None:
    """Return how dark the pen is, as ink, or None where nothing stands out from the paper."""
    noise = float(np.median(np.abs(np.diff(ink, axis=1)))) if ink.shape[1] > 1 else 0.0
    floor = max(MIN_CONTRAST, 6 * noise)
    marks = ink[ink > floor]
    if marks.size == 0:
        return None
    counts, edges = np.histogram(marks, 64, (0, 1))
    middle = (edges[1:] + edges[:-1]) / 2
    below, mass = np.cumsum(counts), np.cumsum(counts * middle)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    split = edges[1 + int(np.nanargmax(apart))] if np.any(apart > 0) else 0
    return max(float(marks[marks >= split].mean()), 2 * floor)


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    out = wide.copy()
    out[:, 1:] |= wide[:, :-1]
    out[:, :-1] |= wide[:, 1:]
    return out


def cropped(patch: Ink, level: float = 0.12) -> Ink:
    strong = patch >= level
    ys, xs = np.flatnonzero(strong.any(1)), np.flatnonzero(strong.any(0))
    return patch[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]


def fitted(patch: Ink, side: int) -> Ink:
    h, w = patch.shape
    s = side / max(h, w)
    return np.clip(resample(patch, (max(1, int(h * s + 0.5)), max(1, int(w * s + 0.5)))), 0, 1)


def saturated(patch: Ink) -> Ink:
    """Return the patch with its strokes at full ink, as MNIST's are."""
    strokes = np.sort(patch[patch >= patch.max() / 2])
    full: Ink = np.minimum(patch / strokes[int(0.8 * (strokes.size - 1))], np.float32(1))
    return full


def as_mnist(patch: Ink) -> NDArray[np.uint8]:
    """Return (28, 28) uint8 from the ink of one digit, with 20 for the longer side and the mass in the middle."""
    patch = cropped(patch)
    if max(patch.shape) > 2 * FIT:
        patch = saturated(fitted(patch, 2 * FIT))
    small = fitted(thickened(patch), FIT)
    height, width = small.shape
    share = small / small.sum()
    middle_y, middle_x = share.sum(1) @ np.arange(height), share.sum(0) @ np.arange(width)
    top = min(max(int(SIDE / 2 - middle_y + 0.5), 0), SIDE - height)
    left = min(max(int(SIDE / 2 - middle_x + 0.5), 0), SIDE - width)
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + height, left : left + width] = small * 255 + 0.5
    return image


def thickened(patch: Ink) -> Ink:
    """Return the patch with strokes at least THINNEST wide once its longer side is FIT."""
    unit = max(patch.shape) / FIT
    inside = np.pad(patch >= 0.5, 1)
    outline = np.count_nonzero(np.diff(inside, axis=0)) + np.count_nonzero(np.diff(inside, axis=1))
    stroke = 2 * np.count_nonzero(inside) / (outline * np.pi / 4)  # a line's area is half its outline times its width
    radius = (THINNEST * unit - stroke) / 2
    if radius <= 0:
        return patch
    reach = int(np.ceil(radius))
    wide = np.pad(patch, 2 * reach)
    result = wide.copy()
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            weight = min(radius + 0.5 - np.hypot(dy, dx), 1)  # a disc with a soft rim
            if weight > 0:
                result = np.maximum(result, np.roll(wide, (dy, dx), (0, 1)) * np.float32(weight))
    return cropped(result)
