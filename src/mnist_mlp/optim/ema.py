"""Exponential moving average (EMA) of the weights: the network that is validated, tested and used.

Averaging the weights over the last steps (Polyak and Juditsky 1992) reduces the noise that stochastic gradients cause
in the weights, as a small learning rate would, without slowing the training down.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def ema_weight(decay: float, step: int) -> float:
    """Share of the current weights in the average. `step` counts from 0.

    In the first steps the share is larger, 9 / (10 + step): a warm-up of the average, not of the learning rate. Later
    it is 1 - decay. Without the warm-up the initial weights would dominate the average of a short run. The formula,
    1 - min(decay, (1 + step) / (10 + step)), is that of TensorFlow's `ExponentialMovingAverage`.
    """
    return max(1 - decay, 9 / (10 + step))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, weight: float | Tensor) -> None:
    """Move each parameter of the average towards that of the network by the fraction `weight`, in [0, 1].

    Buffers are copied: those of batch norm are running means already.
    """
    for mean, parameter in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(parameter, weight)
    for average_buffer, buffer in zip(average.buffers(), network.buffers(), strict=True):
        average_buffer.copy_(buffer)
