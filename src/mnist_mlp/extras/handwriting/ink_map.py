"""From grey levels to a map of ink: 0 where the paper shows, towards 1 where the pen went."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mnist_mlp.extras.handwriting.resampling import Map, resample

Grey = NDArray[np.uint8]
Ink = Map  # in [0, 1]; grey levels in [0, 255] are `Grey` as uint8, and `Map` as float32

GRID_CELLS = 2_500  # polarity and paper are judged on a grid of about 50 x 50 cells
OPAQUE = 128  # alpha at and above which a pixel counts as visible
CONTRAST = 64  # grey levels between darkest and brightest, above which a picture holds both pen and paper


def dark_on_light(grey: Grey, *, flipped: bool = False) -> Map:
    """Grey levels (H, W) with dark writing on brighter paper, in [0, 255].

    Whether the writing is darker or brighter is judged from the picture; `flipped` takes the other one.
    """
    page = grey.astype(np.float32)
    return 255 - page if ink_is_light(cell_means(page, _cell(page))) != flipped else page


def ink_map(page: Map) -> Ink:
    """Grey levels (H, W) of a page with dark writing to ink (H, W) in [0, 1]."""
    height, width = page.shape
    cell = _cell(page)
    paper = paper_level(cell_means(page, cell))
    paper = resample(paper, (paper.shape[0] * cell, paper.shape[1] * cell))[:height, :width]
    # A shadow dims pen and paper alike, so ink is what share of the paper's light is missing.
    return np.clip((paper - page) / np.maximum(paper, 1), 0, 1)


def _cell(page: Map) -> int:
    return int(np.ceil(np.sqrt(page.size / GRID_CELLS)))


def flatten(grey: Grey, alpha: Grey) -> Grey:
    """Fill what is transparent so that the writing stands out; all (H, W)."""
    visible = grey[alpha >= OPAQUE]
    if visible.size == 0:
        return np.zeros_like(grey)
    dark, middle, bright = np.percentile(visible, (5, 50, 95))
    both_are_there = visible.size > grey.size / 2 and bright - dark > CONTRAST
    # Where pen and paper are there, what is cut away was paper; otherwise these are strokes on nothing.
    fill = middle if both_are_there else 255 if middle < 128 else 0
    share = alpha.astype(np.float32) / 255
    return np.round(grey * share + np.float32(fill) * (1 - share)).astype(np.uint8)


def cell_means(page: Map, cell: int) -> Map:
    """The mean over squares of `cell` x `cell` pixels; those at the right and lower edge may be smaller."""
    totals = page
    for axis, length in enumerate(page.shape):
        starts = np.arange(0, length, cell)
        sizes = np.minimum(cell, length - starts).astype(np.float32)
        totals = np.add.reduceat(totals, starts, axis)
        totals = totals / np.expand_dims(sizes, 1 - axis)
    return totals


def ink_is_light(grid: Map) -> bool:
    """Whether the writing is brighter than what surrounds it."""
    around = sliding(np.mean, grid, int(np.ceil(min(grid.shape) / 3)))
    # Cubed, so that a little strong ink outweighs much faint unevenness of the paper; a shadow's edge is as far
    # above its surroundings on one side as below on the other, and cancels.
    return bool(np.sum((grid - around) ** 3) > 0)


def paper_level(grid: Map) -> Map:
    """The paper's brightness under dark writing: a closing, wider than any stroke.

    A closing keeps the straight edge of a shadow as it is, where a blur would smear it. The minimum reaches one
    cell further than the maximum: the mean of a cell that a shadow's edge crosses is brighter than its dark part, which
    would count as ink.
    """
    reach = int(np.ceil(min(grid.shape) / 5))
    return sliding(np.min, sliding(np.max, grid, reach), reach + 1)


def sliding(statistic: Callable[..., Map], grid: Map, reach: int) -> Map:
    """`statistic` (mean, max, min) over the cells up to `reach` away, one axis after the other.

    Beyond the edge, the values of the edge are repeated.
    """
    for axis in (0, 1):
        margin = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(grid, margin, mode="edge")
        grid = statistic(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis), axis=-1)
    return grid
