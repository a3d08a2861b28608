"""Two digits that touch: one connected piece of ink, cut where least ink is in the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnist_mlp.extras.handwriting.ink_map import Ink

MIDDLE = 0.25, 0.75  # of the width: where a cut may run
ASIDE = 60  # grey levels that a pixel at the edge of the patch costs more than one in its middle


def left_of_cut(patch: Ink) -> NDArray[np.bool_]:
    """The pixels of a patch (H, W) left of the minimum-ink seam from top to bottom (as in seam carving).

    The seam goes down a row at a time, straight or one pixel sideways, within the middle half of the width. ASIDE makes
    it prefer the middle. Costs are integers, so that ties are ties in every language. Of equal steps straight wins,
    then left; of equal ends the leftmost.
    """
    height, width = patch.shape
    first, end = int(MIDDLE[0] * width), int(MIDDLE[1] * width) + 1
    aside = ASIDE * np.abs(2 * np.arange(first, end) + 1 - width) // width
    levels = (patch[:, first:end] * 255 + 0.5).astype(np.int64) + aside
    moves = np.array([0, -1, 1])
    total, came_from = levels[0], np.zeros(levels.shape, np.int64)
    for row in range(1, height):
        padded = np.pad(total, 1, constant_values=np.iinfo(np.int64).max // 2)
        above = np.stack([padded[1:-1], padded[:-2], padded[2:]])
        best = above.argmin(0)
        came_from[row] = moves[best]
        total = levels[row] + above.min(0)
    path = np.empty(height, np.int64)
    path[-1] = total.argmin()
    for row in range(height - 1, 0, -1):
        path[row - 1] = path[row] + came_from[row, path[row]]
    is_left: NDArray[np.bool_] = np.arange(width) < (first + path)[:, None]
    return is_left
