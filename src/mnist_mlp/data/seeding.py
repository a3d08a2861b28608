"""Random numbers as functions of (seed, purpose, number), never of what ran before in the process."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def derive(seed: int, purpose: str, number: int) -> int:
    """A seed of its own, in [0, 2^63), for one purpose: `("order", epoch)`, `("noise", step)`, ..."""
    digest = hashlib.blake2b(f"{seed} {purpose} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits the `count` training images: `(count,)` int64."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)


def seed_noise(seed: int, step: int, rank: int = 0, device: torch.device | None = None) -> None:
    """Make the noise of one optimizer step (dropout) a function of (seed, step), its own on every process."""
    number = derive(seed, f"noise of process {rank}" if rank else "noise", step)
    # `torch.manual_seed` would seed every back end there could be, and take a thousand times as long.
    if device is not None and device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device is not None and device.type == "mps":
        torch.mps.manual_seed(number)
    else:
        torch.default_generator.manual_seed(number)
