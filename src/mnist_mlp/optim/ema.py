"""Exponential moving average (EMA) of the weights: the network that is validated, tested and used.

Averaging the weights over the last steps (Polyak and Juditsky 1992) reduces the noise of the gradients, as a small
learning rate would, without slowing the training down.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def ema_share(decay: float, step: int) -> float:
    """Share of the new weights in the average after step 0, 1, ...: 1 - decay, and more in the first steps.

    Without the larger share the initial weights would dominate the average of a short run.
    """
    return max(1 - decay, 9 / (10 + step))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, share: float | Tensor) -> None:
    """Move each weight of the average towards that of the network by `share`, in [0, 1].

    Buffers are copied: those of batch norm are running means already.
    """
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(weight, share)
    for kept, buffer in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(buffer)
