"""Pen augmentation: digits redrawn bolder, thinner, coarser and slanted, so that the detector accepts other pens and
cameras.

MNIST's digits come from one kind of form and pen. Without such changes a detector refuses what is only drawn with a
thinner pen, or enlarged from few pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.extras.calibration.synthetic_outliers import normalised
from mnist_mlp.extras.handwriting.mnist_format import SIDE

SLANT, WIDTH = 0.15, 0.1  # standard deviations of the shear, and of the relative change of a digit's width


def with_other_pens(images: Tensor, generator: torch.Generator) -> Tensor:
    """Grey levels `(N, 28, 28)` to uint8: a quarter each bolder, thinner, coarser and as they are; all slanted anew."""
    as_they_are, bold, thin, coarse = images.float()[:, None].tensor_split(4)
    bold = (bold + F.max_pool2d(bold, 3, stride=1, padding=1)) / 2
    # 0.4 of the pixel and 0.6 of the smallest of 2 x 2 pixels, which is the negative maximum of the negatives.
    thin = 0.4 * thin - 0.6 * F.max_pool2d(F.pad(-thin, (0, 1, 0, 1)), 2, stride=1)
    coarse = F.interpolate(F.avg_pool2d(coarse, 2), scale_factor=2.0, mode="bicubic").clamp(min=0)
    return normalised(_slanted(torch.cat([as_they_are, bold, thin, coarse]), generator))


def _slanted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images `(N, 1, 28, 28)` with other slants and widths `(N, 28, 28)`, their strongest ink scaled to 255."""
    count = len(images)
    slant, width = torch.randn(2, count, generator=generator)
    zero, one = torch.zeros(count), torch.ones(count)
    theta = torch.stack([1 + WIDTH * width, SLANT * slant, zero, zero, one, zero], dim=1).view(-1, 2, 3)
    moved = F.grid_sample(
        images, F.affine_grid(theta, [count, 1, SIDE, SIDE], align_corners=False), align_corners=False
    )
    moved = moved.squeeze(1)
    return moved * (255 / moved.amax((1, 2), keepdim=True).clamp(min=1))
