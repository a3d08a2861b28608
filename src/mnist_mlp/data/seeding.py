"""Seeds for every source of randomness, each a function of (seed, purpose, number), never of earlier random draws."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def derive(seed: int, purpose: str, number: int) -> int:
    """A seed in [0, 2^63): a hash of `seed`, `purpose` and `number`.

    Examples of purpose and number: "order" and the epoch; "noise" and the step.
    """
    digest = hashlib.blake2b(f"{seed} {purpose} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """Random order of the `count` training images in an epoch: indices `(count,)` int64."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)


def noise_seed(seed: int, step: int, rank: int = 0) -> int:
    """Seed for the noise of one optimizer step, or of a chunk of steps whose first step is `step`."""
    return derive(seed, f"noise of process {rank}" if rank else "noise", step)


def seed_torch(seed: int, step: int, rank: int = 0, device: torch.device | None = None) -> None:
    """Seed torch's generators for the noise of one optimizer step: a function of (seed, step, rank).

    On a GPU too the generator of the CPU is seeded, as a transform may draw its parameters there.
    """
    number = noise_seed(seed, step, rank)
    # `torch.manual_seed` would seed the generators of all back ends, which takes a thousand times as long.
    torch.default_generator.manual_seed(number)
    if device is not None and device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device is not None and device.type == "mps":
        torch.mps.manual_seed(number)
