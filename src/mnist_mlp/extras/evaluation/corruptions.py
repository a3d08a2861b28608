"""Corruptions: images moved, turned, blurred, covered; and digits written by other people.

Each corruption turns images `(N, C, H, W)` uint8 into the same, and gives the same bits whenever it is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.extras.handwriting.mnist_format import SIDE
from mnist_mlp.extras.handwriting.segmentation import find_digits

BLACK, WHITE = 0.0, 255.0

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Corruption:
    kind: str
    amount: str
    """In words, with the unit."""
    change: Change
    """`(N, C, H, W)` float32 in 0..255 to the same shape; `__call__` clamps values beyond 0..255"""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.amount}".strip()

    def __call__(self, images: Tensor) -> Tensor:
        return self.change(images.float()).round().clamp(BLACK, WHITE).to(torch.uint8)


def shift(images: Tensor, *, pixels: int) -> Tensor:
    """Towards the four corners in turn, by so many pixels along both axes; what comes in from the edge is black."""
    height, width = images.shape[2:]
    padded = F.pad(images, [pixels] * 4)
    moved = torch.empty_like(images)
    for turn, (down, right) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
        top, left = pixels * (1 - down), pixels * (1 - right)
        moved[turn::4] = padded[turn::4, :, top : top + height, left : left + width]
    return moved


def rotate(images: Tensor, *, degrees: float) -> Tensor:
    """Clockwise and anticlockwise in turn, around the middle."""
    height, width = images.shape[2:]
    angle = math.radians(degrees) * _alternating(len(images))
    # In `affine_grid` both sides of an image have the length 2, whatever its shape.
    return _warped(images, angle.cos(), angle.sin() * height / width, -angle.sin() * width / height, angle.cos())


def scale(images: Tensor, *, factor: float) -> Tensor:
    """Larger above 1, smaller below, around the middle."""
    inverse, none = torch.full((len(images),), 1 / factor), torch.zeros(len(images))
    return _warped(images, inverse, none, none, inverse)


def _warped(images: Tensor, *entries: Tensor) -> Tensor:
    """Images resampled, each with a 2 x 2 matrix that sends a pixel to where it is read; `entries` are `(N,)` each."""
    matrix = torch.stack(entries, dim=1).reshape(-1, 2, 2)
    matrix = F.pad(matrix, [0, 1])  # no translation
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _alternating(number: int) -> Tensor:
    return 1.0 - 2.0 * (torch.arange(number) % 2)


def blur(images: Tensor, *, sigma: float) -> Tensor:
    """Gaussian, with its standard deviation in pixels."""
    height, width = images.shape[2:]
    return _smoothing(height, sigma) @ images @ _smoothing(width, sigma).T


def _smoothing(side: int, sigma: float) -> Tensor:
    """`(side, side)`: the weight of each source row in each blurred row."""
    weight = torch.exp(-(torch.arange(-side, side + 1) ** 2) / (2 * sigma**2))
    places = torch.arange(side)
    return (weight / weight.sum())[places[:, None] - places + side]


def noise(images: Tensor, *, share: float) -> Tensor:
    """Gaussian, with its standard deviation as a share of white."""
    return images + share * WHITE * torch.randn(images.shape, generator=_generator())


def faint(images: Tensor, *, share: float) -> Tensor:
    """Strokes at this share of their brightness."""
    return images * share


def bright(images: Tensor, *, share: float) -> Tensor:
    """A background at this share of white, strokes as they were."""
    return images + (WHITE - images) * share


def occlude(images: Tensor, *, pixels: int) -> Tensor:
    """A black square of this side at a random place in the central 5/7 of the image.

    Of 28 x 28, these are the 20 x 20 that hold the digit.
    """
    size = torch.tensor(images.shape[2:])  # height, width
    low = size // 7
    high = (size - low - pixels).maximum(low)
    draw = torch.rand((2, len(images)), generator=_generator())
    corners = (low[:, None] + draw * (high - low + 1)[:, None]).long()  # (2, N)
    down, across = (
        (corner[:, None] <= torch.arange(side)) & (torch.arange(side) < corner[:, None] + pixels)
        for corner, side in zip(corners, size.tolist(), strict=True)
    )
    return images.masked_fill(down[:, None, :, None] & across[:, None, None, :], BLACK)


def invert(images: Tensor) -> Tensor:
    """Black on white."""
    return WHITE - images


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


CORRUPTIONS = (
    Corruption("shift", "2 px", partial(shift, pixels=2)),
    Corruption("shift", "4 px", partial(shift, pixels=4)),
    Corruption("rotate", "15°", partial(rotate, degrees=15)),
    Corruption("rotate", "30°", partial(rotate, degrees=30)),
    Corruption("scale", "0.75", partial(scale, factor=0.75)),
    Corruption("scale", "1.25", partial(scale, factor=1.25)),
    Corruption("blur", "1 px", partial(blur, sigma=1.0)),
    Corruption("blur", "2 px", partial(blur, sigma=2.0)),
    Corruption("noise", "20%", partial(noise, share=0.2)),
    Corruption("noise", "40%", partial(noise, share=0.4)),
    Corruption("strokes at", "50%", partial(faint, share=0.5)),
    Corruption("strokes at", "25%", partial(faint, share=0.25)),
    Corruption("background at", "20%", partial(bright, share=0.2)),
    Corruption("background at", "40%", partial(bright, share=0.4)),
    Corruption("covered", "7 x 7", partial(occlude, pixels=7)),
    Corruption("covered", "11 x 11", partial(occlude, pixels=11)),
    Corruption("inverted", "", invert),
)


def other_people() -> tuple[Tensor, Tensor, int]:
    """Scikit-learn's digits: other writers, 8 x 8 pixels of 17 grey levels, white on black.

    They are enlarged, given a margin, and sent through the same pipeline as a person's own picture.

    Returns:
        Images `(1797, 1, 28, 28)` uint8, labels `(1797,)`, and in how many no digit was found: those stay black.
    """
    from sklearn.datasets import load_digits  # not everyone has it

    given = load_digits()
    images, missed = np.zeros((len(given.images), SIDE, SIDE), np.uint8), 0
    for index, levels in enumerate(given.images):  # (8, 8), 0..16
        grey = Image.fromarray((levels * (WHITE / 16)).round().astype(np.uint8))
        page = ImageOps.expand(grey.resize((64, 64), Image.Resampling.BICUBIC), border=16)
        found = find_digits(np.asarray(page))
        if found:
            images[index] = max(found, key=lambda digit: digit.box.area).image
        else:
            missed += 1
    return torch.from_numpy(images[:, None]), torch.from_numpy(given.target.astype(np.int64)), missed
