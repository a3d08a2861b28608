"""The random numbers of one member, drawn apart from those of the others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class DropoutNoise:
    """What `nn.Dropout` would draw after `randomness.seed_noise`."""

    def __init__(self, seed: int, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self.generator: torch.Generator | None = None
        if device.type == "cpu":  # a generator of its own: members are trained by several threads
            self.generator = torch.Generator().manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def draw(self, share: float, shape: tuple[int, int]) -> Tensor:
        """Zeros, and 1 / (1 - share) for the units that stay."""
        if self.generator is None:
            return F.dropout(torch.ones(shape, dtype=self.dtype, device=self.device), share)
        stays = torch.empty(shape, dtype=self.dtype).bernoulli_(1 - share, generator=self.generator)
        return stays.div_(1 - share)
