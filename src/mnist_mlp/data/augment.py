"""Random changes to a batch of images, on the device that trains, as a function of (seed, step).

A deformation gives for every pixel of the new image the place in the old one where it is read. It is a sum of fixed
displacement fields (shift, rotation, scale, slant, and the smooth waves of an elastic deformation), each times a random
amount. So a whole batch costs one draw of normal numbers, one matrix product and one bilinear reading.

Blanking out pixels is dropout of the inputs (Srivastava et al. 2014). It does not know which pixels are neighbours.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.config.schema import AugmentConfig
from mnist_mlp.data.seeding import derive

# Waves weaker than this share of the strongest one are left out of an elastic deformation.
WEAK = 0.05


class Deformation:
    """Draws deformations of images `(C, H, W)` and applies them."""

    def __init__(self, config: AugmentConfig, image_shape: tuple[int, int, int], device: torch.device) -> None:
        self.blank = config.blank
        _, self.height, self.width = image_shape
        # grid_sample counts in half widths of the image from its centre; here everything is in pixels.
        scale = torch.tensor([2 / max(1, self.width - 1), 2 / max(1, self.height - 1)], dtype=torch.float32)
        scale = scale.view(2, 1, 1)
        fields = displacement_fields(config, self.height, self.width)
        self.fields = (scale * fields).flatten(1).to(device)
        self.identity = (scale * torch.stack(_centred_pixels(self.height, self.width))).reshape(1, -1).to(device)

    @property
    def numbers(self) -> int:
        """Random numbers for each image."""
        return len(self.fields) + (self.height * self.width if self.blank > 0 else 0)

    def draw(self, seed: int, step: int, count: int) -> Tensor:
        """How much of each field each image of the step's batch gets: `(count, numbers)`, on the CPU, standard normal.

        With one more number for each pixel if some are to be blanked. Drawn on the CPU, it is the same wherever the run
        goes on.
        """
        generator = torch.Generator().manual_seed(derive(seed, "augment", step))
        return torch.randn(count, self.numbers, generator=generator, dtype=torch.float32)

    def __call__(self, images: Tensor, amounts: Tensor) -> Tensor:
        """Images `(B, C, H, W)` uint8 and amounts as `draw` gives them to grey levels `(B, C, H, W)`, float32."""
        amounts, for_pixels = amounts.tensor_split((len(self.fields),), dim=-1)
        changed = self._deformed(images, amounts) if len(self.fields) > 0 else images.float()
        if self.blank > 0:
            # The others get brighter, so that the mean over many draws is the image.
            stays = for_pixels > NormalDist().inv_cdf(self.blank)
            changed = changed * stays.view(-1, 1, self.height, self.width) / (1 - self.blank)
        return changed

    def _deformed(self, images: Tensor, amounts: Tensor) -> Tensor:
        """As if everything beyond the border were black."""
        # Autocast would round the places to bfloat16, a tenth of a pixel.
        with torch.autocast(images.device.type, enabled=False):
            grid = torch.addmm(self.identity, amounts, self.fields)
            grid = grid.view(-1, 2, self.height, self.width).permute(0, 2, 3, 1)
            return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def deforms(config: AugmentConfig) -> bool:
    return any((config.shift, config.rotation, config.scale, config.slant, config.elastic, config.blank))


def displacement_fields(config: AugmentConfig, height: int, width: int) -> Tensor:
    """`(fields, 2, height, width)`: x and then y in pixels, for an amount of one standard deviation."""
    x, y = _centred_pixels(height, width)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    affine = [
        (config.shift, one, zero),
        (config.shift, zero, one),
        (math.radians(config.rotation), -y, x),  # to first order in the angle
        (config.scale, x, zero),
        (config.scale, zero, y),
        (config.slant, y, zero),
    ]
    fields = [deviation * torch.stack((dx, dy)) for deviation, dx, dy in affine if deviation > 0]
    if config.elastic > 0:
        for wave in elastic_waves(config.smoothness, height, width):
            fields += [config.elastic * torch.stack(pair) for pair in ((wave, zero), (zero, wave))]
    return torch.stack(fields) if fields else torch.empty(0, 2, height, width, dtype=torch.float32)


def elastic_waves(smoothness: float, height: int, width: int) -> Tensor:
    """`(waves, height, width)`: their sum with normal amounts is smoothed white noise (Simard et al. 2003).

    Smoothing shrinks a cosine wave of frequency w by exp(-(smoothness * w)^2 / 2), so few waves are left and no
    convolution is needed. Scaled so that the mean variance over the image is one.
    """
    (rows, row_decay), (columns, column_decay) = (_waves_along(smoothness, side) for side in (height, width))
    strength = row_decay[:, None] * column_decay
    strength[0, 0] = 0  # the same displacement everywhere is a shift
    first, second = torch.nonzero(strength > WEAK * strength.max(), as_tuple=True)
    waves = rows[first, :, None] * columns[second, None, :]
    return (waves / waves.square().sum(0).mean().sqrt()).float()


def _waves_along(smoothness: float, side: int) -> tuple[Tensor, Tensor]:
    """Smoothed cosine waves along one axis `(waves, side)`, and how much smoothing has left of each `(waves,)`."""
    number = torch.arange(side, dtype=torch.float64)
    cosines = torch.cos(math.pi / side * number[:, None] * (number + 0.5))
    decay = torch.exp(-((smoothness * math.pi / side * number) ** 2) / 2)
    return decay[:, None] * cosines / cosines.square().sum(1, keepdim=True).sqrt(), decay


def _centred_pixels(height: int, width: int) -> tuple[Tensor, Tensor]:
    """x and y of every pixel, `(height, width)` each, from the centre of the image."""
    down, across = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2 for side in (height, width))
    y, x = torch.meshgrid(down, across, indexing="ij")
    return x, y
