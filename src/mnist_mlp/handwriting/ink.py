"""From a picture of any kind to a map of ink: 0 where the paper shows, towards 1 where the pen went."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnist_mlp.handwriting.resampling import resample

Ink = NDArray[np.float32]

WORKING_PIXELS = 1_000_000  # larger pictures are shrunk first; a digit needs far fewer
GRID_CELLS = 2_500  # the paper is estimated on a grid of about 50 x 50 cells
OPAQUE = 128  # alpha at and above which a pixel counts as visible


def ink_map(picture: Image.Image) -> tuple[Ink, int]:
    """Return ink (H, W) in [0, 1] and the whole factor by which the picture was shrunk to get it."""
    grey = flatten_alpha(picture)
    shrink = int(np.ceil(np.sqrt(grey.width * grey.height / WORKING_PIXELS)))
    if shrink > 1:
        grey = grey.reduce(shrink)  # the mean over shrink x shrink pixels
    cell = int(np.ceil(np.sqrt(grey.width * grey.height / GRID_CELLS)))
    grid = np.asarray(grey.reduce(cell) if cell > 1 else grey, np.float32)
    page = np.asarray(grey, np.float32)
    if ink_is_light(grid):
        page, grid = 255 - page, 255 - grid
    height, width = page.shape
    paper = paper_level(grid)
    paper = resample(paper, (paper.shape[0] * cell, paper.shape[1] * cell))[:height, :width]
    # A shadow dims pen and paper alike, so ink is what share of the paper's light is missing.
    return np.clip(1 - page / np.maximum(paper, 1), 0, 1), shrink


def flatten_alpha(picture: Image.Image) -> Image.Image:
    """Return the picture in grey (mode L), its transparent parts filled so that the writing stands out."""
    if picture.mode != "RGBA":
        return picture.convert("L")
    grey = picture.convert("RGB").convert("L")
    alpha = picture.getchannel("A")
    visible = np.asarray(grey)[np.asarray(alpha) >= OPAQUE]
    if visible.size == 0:
        return Image.new("L", picture.size)
    dark, middle, bright = np.percentile(visible, (5, 50, 95))
    paper_and_ink = visible.size > grey.width * grey.height / 2 and bright - dark > 64
    # Where both are there, what is cut away was paper; otherwise these are black or white strokes on nothing.
    fill = middle if paper_and_ink else 255 if middle < 128 else 0
    return Image.composite(grey, Image.new("L", picture.size, int(fill)), alpha)


def ink_is_light(grid: Ink) -> bool:
    """Whether the writing is brighter than what surrounds it."""
    around = sliding(np.mean, grid, int(np.ceil(min(grid.shape) / 2)))
    # Cubed, so that a little strong ink outweighs much faint unevenness of the paper; a shadow's edge is as far
    # above its surroundings on one side as below on the other, and cancels.
    return bool(np.sum((grid - around) ** 3) > 0)


def paper_level(grid: Ink) -> Ink:
    """Return the paper's brightness under dark writing: a closing, wider than any stroke.

    A closing keeps the straight edge of a shadow as it is, where a blur would smear it.
    """
    reach = int(np.ceil(min(grid.shape) / 5))
    brightest = sliding(np.max, grid, reach)
    return sliding(np.min, brightest, reach)


def sliding(extreme: Callable[..., Ink], grid: Ink, reach: int) -> Ink:
    """Return `extreme` (mean, max, min) over squares of `reach` cells around each cell, one axis after the other."""
    for axis in (0, 1):
        margin = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(grid, margin, mode="edge")
        grid = extreme(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis), axis=-1)
    return grid
