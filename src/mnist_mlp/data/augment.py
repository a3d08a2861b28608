"""Random changes to a batch of images, on the device that trains, as a function of (seed, step).

A deformation says for every pixel of the new image where in the old one it is read. It is a sum of fixed
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

SIDE = 28
# Waves weaker than this share of the strongest one are left out of an elastic deformation.
WEAK = 0.05


class Deformation:
    """Draws deformations and applies them.

    Runs that are trained side by side draw for each run alone and apply to all at once: any leading dimensions do.
    """

    def __init__(self, config: AugmentConfig, device: torch.device) -> None:
        self.blank = config.blank
        # grid_sample counts in half widths of the image from its centre; here everything is in pixels.
        scale = 2 / (SIDE - 1)
        self.fields = (scale * displacement_fields(config)).to(device)
        self.identity = (scale * torch.stack(_centred_pixels()).reshape(1, -1)).to(device)

    def draw(self, seed: int, step: int, count: int) -> Tensor:
        """How much of each field each image of the step's batch gets: `(count, fields)`, on the CPU, standard normal.

        With one more number for each pixel if some are to be blanked, `(count, fields + 784)`. Drawn on the CPU, it is
        the same wherever the run goes on.
        """
        generator = torch.Generator().manual_seed(derive(seed, "augment", step))
        numbers = len(self.fields) + (SIDE**2 if self.blank > 0 else 0)
        return torch.randn(count, numbers, generator=generator, dtype=torch.float32)

    def __call__(self, images: Tensor, amounts: Tensor) -> Tensor:
        """Images `(..., 784)` uint8 and what `draw` gave, `(..., numbers)`, to grey levels `(..., 784)`, float32."""
        amounts, for_pixels = amounts.tensor_split((len(self.fields),), dim=-1)
        changed = self._deformed(images, amounts) if len(self.fields) > 0 else images.float()
        if self.blank > 0:
            # The others get brighter, so that the mean over many draws is the image.
            stays = for_pixels > NormalDist().inv_cdf(self.blank)
            changed = changed * stays / (1 - self.blank)
        return changed

    def _deformed(self, images: Tensor, amounts: Tensor) -> Tensor:
        """As if everything beyond the border were black."""
        pixels = images.reshape(-1, 1, SIDE, SIDE).float()
        # Autocast would round the places to bfloat16, a tenth of a pixel.
        with torch.autocast(images.device.type, enabled=False):
            grid = torch.addmm(self.identity, amounts.flatten(0, -2), self.fields)
            grid = grid.view(-1, 2, SIDE, SIDE).permute(0, 2, 3, 1)
            read = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        return read.view(images.shape)


def deforms(config: AugmentConfig) -> bool:
    return any((config.shift, config.rotation, config.scale, config.slant, config.elastic, config.blank))


def displacement_fields(config: AugmentConfig) -> Tensor:
    """`(fields, 2 * 784)`: x and then y in pixels, for an amount of one standard deviation."""
    x, y = _centred_pixels()
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
        for wave in elastic_waves(config.smoothness):
            fields += [config.elastic * torch.stack(pair) for pair in ((wave, zero), (zero, wave))]
    return torch.stack(fields).flatten(1) if fields else torch.empty(0, 2 * SIDE**2)


def elastic_waves(smoothness: float) -> Tensor:
    """`(waves, 28, 28)`: their sum with normal amounts is white noise smoothed by a Gaussian, as in Simard et al. 2003.

    Smoothing shrinks a cosine wave of frequency w by exp(-(smoothness * w)^2 / 2), so few waves are left and no
    convolution is needed. Scaled so that the mean variance over the image is one.
    """
    number = torch.arange(SIDE, dtype=torch.float64)
    cosines = torch.cos(math.pi / SIDE * number[:, None] * (number + 0.5))  # (waves, pixels)
    decay = torch.exp(-((smoothness * math.pi / SIDE * number) ** 2) / 2)
    rows = decay[:, None] * cosines / cosines.square().sum(1, keepdim=True).sqrt()
    strength = decay[:, None] * decay
    strength[0, 0] = 0  # the same displacement everywhere is a shift
    first, second = torch.nonzero(strength > WEAK * strength.max(), as_tuple=True)
    waves = rows[first, :, None] * rows[second, None, :]
    return (waves / waves.square().sum(0).mean().sqrt()).float()


def _centred_pixels() -> tuple[Tensor, Tensor]:
    """x and y of every pixel, `(28, 28)` each, from the centre of the image."""
    along = torch.arange(SIDE, dtype=torch.float32) - (SIDE - 1) / 2
    y, x = torch.meshgrid(along, along, indexing="ij")
    return x, y
