"""Chunks: consecutive optimizer steps that Lightning sees as one batch.

Lightning's work around a batch (hooks, progress, logging) takes about a millisecond, longer than an optimizer step of a
small network. So the batch that Lightning gets is a *chunk*: at most `trainer.log_every_n_steps` minibatches, never
beyond a validation or the end of the epoch. The engine loops over the minibatches of a chunk. With
validations within an epoch, a chunk has as many minibatches as the greatest common divisor of `log_every_n_steps` and
the steps between two validations: 1 in the worst case.
`global_step`, `max_steps`, the schedule, checkpoints and loggers still count optimizer steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

import torch
from torch import Tensor

from mnist_mlp.data.loader import EpochLoader, Part
from mnist_mlp.engine.chunked_length import ChunkedLength


class Chunk:
    """Consecutive minibatches of one epoch, as indices into all training images and labels."""

    def __init__(self, part: Part, order: Tensor, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        """`order` `(M, n)` holds the indices for each member, one minibatch after another."""
        self.part, self.order, self.batch_size = part, order, batch_size
        self.images, self.labels = part
        self.rank, self.world_size = rank, world_size

    def of(self, members: Sequence[int]) -> Chunk:
        """The same chunk for some of the members."""
        return Chunk(self.part, self.order[members], self.batch_size, self.rank, self.world_size)

    def first_minibatch(self) -> Chunk:
        """The first minibatch, for the first member only; repeated until each rank has an image of it."""
        order = self.order[:1, : self.batch_size]
        order = order.repeat(1, ceil(self.world_size / order.shape[1]))[:, : self.batch_size]
        return Chunk(self.part, order, self.batch_size, self.rank, self.world_size)

    @property
    def sizes(self) -> list[int]:
        """Number of images in each minibatch; the last minibatch of an epoch may be smaller."""
        return [minibatch.shape[1] for minibatch in self.minibatches()]

    def minibatches(self) -> Sequence[Tensor]:
        """Indices of each minibatch, `(M, B)`."""
        minibatches: Sequence[Tensor] = self.order.split(self.batch_size, dim=1)
        return minibatches

    def share_of_rank(self, values: Tensor, dim: int = 0) -> Tensor:
        """The part of a minibatch that this rank trains on; sizes differ by at most one, and may be zero."""
        return values.tensor_split(self.world_size, dim=dim)[self.rank] if self.world_size > 1 else values


class ChunkLoader(EpochLoader):
    """The chunks of an epoch, for members with different seeds; those that a resumed run has used are skipped."""

    def __init__(
        self,
        part: Part,
        *,
        length: ChunkedLength,
        seeds: Sequence[int],
        first_step: int,
        same_order: bool,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """`first_step`: optimizer steps already done, for a resumed run."""
        super().__init__(part, same_order=same_order, rank=rank, world_size=world_size)
        self.length, self.seeds, self.first_step = length, seeds, first_step

    def __len__(self) -> int:
        return self.length.chunks_per_epoch

    def __iter__(self) -> Iterator[Chunk]:
        length = self.length
        begin = self.epoch * length.steps_per_epoch
        end = min(begin + length.steps_per_epoch, length.total_steps)
        orders = torch.stack([self.order(seed) for seed in self.seeds]).to(self.images.device)
        for start in range(begin, end, length.chunk_steps):
            first, stop = max(start, self.first_step), min(start + length.chunk_steps, end)
            if first < stop:
                indices = orders[:, (first - begin) * length.batch_size : (stop - begin) * length.batch_size]
                yield Chunk((self.images, self.labels), indices, length.batch_size, self.rank, self.world_size)
