"""The exponential moving average of the weights (ema): it is validated, tested and kept as the network to use.

It does what a small learning rate does at the end of a run, all along the run (Polyak and Juditsky 1992).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def ema_share(decay: float, step: int) -> float:
    """What the weights after step 0, 1, ... count in the average: 1 - decay, and more in the first steps.

    Weights of the first steps would otherwise outweigh those of a short run.
    """
    return max(1 - decay, 9 / (10 + step))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, share: float | Tensor) -> None:
    """Move each weight of the average towards that of the network by `share`, in [0, 1]."""
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(weight, share)
