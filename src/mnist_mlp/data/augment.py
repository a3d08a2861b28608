"""Augmentation of a batch of images on the training device; the noise is a function of (seed, step).

A deformation maps every pixel of the new image to a position in the old one. It is a sum of fixed displacement fields
(shift, rotation, scale, slant, and the smooth waves of an elastic deformation), each with a random coefficient. So a
whole batch costs one draw of normal numbers, one matrix product and one bilinear interpolation.

`augment.blank` zeroes single pixels: dropout of the inputs (Srivastava et al. 2014).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import AugmentConfig
from mnist_mlp.data.seeding import derive

# An elastic deformation leaves out waves that are weaker than this fraction of the strongest one.
MIN_STRENGTH = 0.05


class Augmentation:
    """Random deformation and blanking of images `(C, H, W)`: `draw` the coefficients, then call it with them."""

    def __init__(self, config: AugmentConfig, image_shape: tuple[int, int, int], device: torch.device) -> None:
        self.blank, self.device = config.blank, device
        _, self.height, self.width = image_shape
        # From pixels to the coordinates of `grid_sample`: -1 and 1 are the centres of the first and the last pixel.
        scale = torch.tensor([2 / max(1, self.width - 1), 2 / max(1, self.height - 1)], dtype=torch.float32)
        scale = scale.view(2, 1, 1)
        fields = displacement_fields(config, self.height, self.width)
        self.fields = (scale * fields).flatten(1).to(device)
        self.identity = (scale * torch.stack(_centred_pixels(self.height, self.width))).reshape(1, -1).to(device)

    @property
    def noise_size(self) -> int:
        """Random numbers that `draw` makes for each image."""
        return len(self.fields) + (self.height * self.width if self.blank > 0 else 0)

    def draw(self, seed: int, step: int, count: int) -> Tensor:
        """Standard normal coefficients for the `count` images of a step, `(count, noise_size)` on the CPU.

        One for each displacement field. If `augment.blank` is above 0, also one for each pixel. They are drawn on the
        CPU, so that a run resumed on another device draws the same ones.
        """
        generator = torch.Generator().manual_seed(derive(seed, "augment", step))
        return torch.randn(count, self.noise_size, generator=generator, dtype=torch.float32)

    def __call__(self, images: Tensor, coefficients: Tensor) -> Tensor:
        """Images `(B, C, H, W)` uint8 and the coefficients from `draw` to grey levels 0..255, float32."""
        coefficients, pixel_noise = coefficients.tensor_split((len(self.fields),), dim=-1)
        changed = self._deformed(images, coefficients) if len(self.fields) > 0 else images.float()
        if self.blank > 0:
            # Inverted dropout: the other pixels are scaled up, so that the expectation over draws is the image.
            kept = pixel_noise > NormalDist().inv_cdf(self.blank)
            changed = changed * kept.view(-1, 1, self.height, self.width) / (1 - self.blank)
        return changed

    def _deformed(self, images: Tensor, coefficients: Tensor) -> Tensor:
        """Images `(B, C, H, W)` resampled bilinearly; pixels beyond the border are black."""
        # Autocast would round the positions to bfloat16, an error of a tenth of a pixel.
        with torch.autocast(images.device.type, enabled=False):
            grid = torch.addmm(self.identity, coefficients, self.fields)
            grid = grid.view(-1, 2, self.height, self.width).permute(0, 2, 3, 1)
            return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def augments(config: AugmentConfig) -> bool:
    """Whether the section `augment` changes images at all."""
    return any((config.shift, config.rotation, config.scale, config.slant, config.elastic, config.blank))


def displacement_fields(config: AugmentConfig, height: int, width: int) -> Tensor:
    """Displacement fields `(fields, 2, height, width)`: x, then y, in pixels, for a coefficient of 1.

    Raises:
        ConfigError: `augment.smoothness` is so wide for such small images that no elastic deformation is left.
    """
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
        waves = elastic_waves(config.smoothness, height, width)
        if len(waves) == 0:
            raise ConfigError(
                f"augment.smoothness: expected less for images of {height} x {width}, got {config.smoothness}: "
                "no elastic deformation is so smooth"
            )
        for wave in waves:
            fields += [config.elastic * torch.stack(pair) for pair in ((wave, zero), (zero, wave))]
    return torch.stack(fields) if fields else torch.empty(0, 2, height, width, dtype=torch.float32)


def elastic_waves(smoothness: float, height: int, width: int) -> Tensor:
    """Cosine waves `(waves, height, width)` whose sum with normal coefficients is smoothed white noise.

    That is the elastic deformation of Simard et al. 2003. A Gaussian of width `smoothness` damps a cosine wave of
    frequency w by exp(-(smoothness * w)^2 / 2), so a few waves replace the convolution. The variance of the sum, as a
    mean over the image, is 1.
    """
    (rows, row_decay), (columns, column_decay) = (_waves_along(smoothness, side) for side in (height, width))
    strength = row_decay[:, None] * column_decay
    strength[0, 0] = 0  # the same displacement everywhere is a shift
    first, second = torch.nonzero(strength > MIN_STRENGTH * strength.max(), as_tuple=True)
    waves = rows[first, :, None] * columns[second, None, :]
    return (waves / waves.square().sum(0).mean().sqrt()).float()


def _waves_along(smoothness: float, side: int) -> tuple[Tensor, Tensor]:
    """Smoothed cosine waves along one axis `(waves, side)`, and the damping of each `(waves,)`, in [0, 1]."""
    number = torch.arange(side, dtype=torch.float64)
    cosines = torch.cos(math.pi / side * number[:, None] * (number + 0.5))
    decay = torch.exp(-((smoothness * math.pi / side * number) ** 2) / 2)
    return decay[:, None] * cosines / cosines.square().sum(1, keepdim=True).sqrt(), decay


def _centred_pixels(height: int, width: int) -> tuple[Tensor, Tensor]:
    """x and y of every pixel, `(height, width)` each, from the centre of the image."""
    down, across = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2 for side in (height, width))
    y, x = torch.meshgrid(down, across, indexing="ij")
    return x, y
