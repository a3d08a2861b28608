"""The ink of one digit in the form of MNIST's: strokes at full ink, 20 pixels the longer side, centred by mass.

LeCun et al. 1998, sec. III.A: size normalised into 20 x 20 with its aspect kept, grey from anti-aliasing, then the
centre of mass moved to the centre of 28 x 28. A long number in narrow handwriting is first widened as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnist_mlp.extras.handwriting.connected_components import Box
from mnist_mlp.extras.handwriting.ink_map import Ink
from mnist_mlp.extras.handwriting.resampling import resample

SIDE = 28
IMAGE_SHAPE = (1, SIDE, SIDE)  # (C, H, W)
FIT = 20  # pixels, the longer side of a digit within the 28
THINNEST = 2.8  # pixels of the 28 that a stroke is wide, after thickening; half of MNIST's are between 2.1 and 3.0
# When a number is widened. Widths are parts of a digit's own height.
FEWEST = 6  # digits wider than SLIM; with fewer of them, nothing is widened
SLIM = 0.35  # as wide as a 1 with a flag, which looks like a 7 if it is widened
NARROW = 0.6  # the middle width of these digits, if it is smaller, becomes as large
FAINTEST = 0.12  # of the ink after `saturated`: what still counts as part of a digit when it is cut out


def widening(digits: Sequence[Box]) -> float:
    """Factor by which all digits of a number are widened: 1, or more where the handwriting is narrow.

    Only digits wider than SLIM count, as a 1 is narrow in any handwriting. If there are enough of them, the one of
    median width (of two in the middle, the wider one) gets the width NARROW. So handwriting in which most digits are
    slim stays as it is.

    Args:
        digits: boxes of the whole picture, digits that touch in one box.
    """
    aspects = sorted(box.width / box.height for box in digits if box.width > SLIM * box.height)
    return max(NARROW / aspects[len(aspects) // 2], 1.0) if len(aspects) >= FEWEST else 1.0


def as_mnist(patch: Ink, widen_by: float) -> NDArray[np.uint8]:
    """The ink (H, W) of one digit, some of it above 0, to an image (28, 28); first it gets `widen_by` times as wide."""
    patch = widened(trimmed(saturated(patch)), widen_by)
    if max(patch.shape) > 2 * FIT:
        patch = saturated(fitted(patch, 2 * FIT))  # small enough to thicken quickly
    small = fitted(thickened(patch), FIT)
    top, left = (_start(small.sum(1 - axis)) for axis in (0, 1))
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + small.shape[0], left : left + small.shape[1]] = small * 255 + 0.5
    return image


def _start(mass: Ink) -> int:
    """Where in SIDE a profile `(length,)` begins, so that its centre of mass comes to lie on pixel SIDE / 2."""
    middle = float(mass @ np.arange(len(mass)) / mass.sum())
    return min(max(int(SIDE / 2 - middle + 0.5), 0), SIDE - len(mass))


def trimmed(patch: Ink) -> Ink:
    inside = patch >= FAINTEST
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return patch[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def saturated(patch: Ink) -> Ink:
    """The patch with its strokes at full ink, whatever the pen: the darker fifth of them is 1."""
    strokes = np.sort(patch[patch >= patch.max() / 2])
    full: Ink = np.minimum(patch / strokes[int(0.8 * (strokes.size - 1))], np.float32(1))
    return full


def widened(patch: Ink, widen_by: float) -> Ink:
    height, width = patch.shape
    return resized(patch, height, int(width * widen_by + 0.5))


def fitted(patch: Ink, side: int) -> Ink:
    """The patch with `side` for its longer side, in [0, 1]."""
    scale = side / max(patch.shape)
    height, width = (max(1, int(length * scale + 0.5)) for length in patch.shape)
    return resized(patch, height, width)


def resized(patch: Ink, height: int, width: int) -> Ink:
    return np.clip(resample(patch, (height, width)), 0, 1)


def thickened(patch: Ink) -> Ink:
    """The patch with strokes that are at least THINNEST wide once its longer side is FIT."""
    radius = (THINNEST * max(patch.shape) / FIT - stroke_width(patch)) / 2
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
    return trimmed(result)


def stroke_width(patch: Ink) -> float:
    """Pixels: a line's area is half its outline times its width.

    Steps between pixels overstate an outline by 4 / pi on the mean over its directions.
    """
    inside = np.pad(patch >= 0.5, 1)
    steps = np.count_nonzero(np.diff(inside, axis=0)) + np.count_nonzero(np.diff(inside, axis=1))
    return float(2 * np.count_nonzero(inside) / (steps * np.pi / 4))
