"""A running mean of the weights over the optimizer steps: it is validated, tested and kept as the network to use.

It does what a small learning rate does at the end of a run, all along the run (Polyak and Juditsky 1992).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def share(decay: float, step: int) -> float:
    """What the weights after step 0, 1, ... count in the mean: 1 - decay, and more in the first steps.

    Weights of the first steps would otherwise outweigh those of a short run.
    """
    return max(1 - decay, 9 / (10 + step))


@torch.no_grad()
def update(means: Iterable[Tensor], weights: Iterable[Tensor], share: Tensor) -> None:
    """Move each mean towards the weight beside it by `share`, a scalar on their device."""
    for mean, weight in zip(means, weights, strict=True):
        mean.lerp_(weight, share)
