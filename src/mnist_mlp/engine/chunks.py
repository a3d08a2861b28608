"""Chunks: the optimizer steps that Lightning sees as one batch.

Lightning's own work around a batch (hooks, progress, logging) costs about a millisecond, more than an optimizer step of
a small network. So a batch is here a *chunk*: the steps up to the next point where something happens (a logged point, a
validation). The engine loops over the minibatches of the chunk, and everything that is counted (`global_step`,
`max_steps`, the schedule, checkpoints, logged points) is counted in optimizer steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mnist_mlp.data.loader import Part
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.engine.run_length import RunLength


class Chunk:
    """Consecutive minibatches of one epoch, as indices into the images and labels of the whole part."""

    def __init__(self, part: Part, order: Tensor, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        """`order` `(M, n)` has the indices of each member, one minibatch after another."""
        self.part, self.order, self.batch_size = part, order, batch_size
        self.images, self.labels = part
        self.rank, self.world_size = rank, world_size

    def of(self, members: Sequence[int]) -> Chunk:
        """The same chunk for some of the members."""
        return Chunk(self.part, self.order[members], self.batch_size, self.rank, self.world_size)

    def first_minibatch(self) -> Chunk:
        """That of the first member alone."""
        order = self.order[:1, : self.batch_size]
        return Chunk(self.part, order, self.batch_size, self.rank, self.world_size)

    @property
    def sizes(self) -> list[int]:
        """Images of each minibatch; the last one of an epoch may have fewer."""
        whole, rest = divmod(self.order.shape[1], self.batch_size)
        return [self.batch_size] * whole + ([rest] if rest else [])

    def minibatches(self) -> Sequence[Tensor]:
        """The indices of each minibatch, `(M, B)`; none for an empty chunk."""
        return self.order.split(self.batch_size, dim=1) if self.order.shape[1] else ()

    def own(self, values: Tensor, dim: int = 0) -> Tensor:
        """The share of a minibatch that this process trains on; sizes differ by one at most, and may be zero."""
        return values.tensor_split(self.world_size, dim=dim)[self.rank] if self.world_size > 1 else values


class ChunkLoader:
    """An epoch in chunks, for members that differ in their seed.

    Every epoch has the same number of chunks, as Lightning wants it; those beyond the last step of the run are empty.
    """

    def __init__(
        self,
        part: Part,
        *,
        length: RunLength,
        seeds: Sequence[int],
        first_step: int,
        same_order: bool,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """`first_step` is where the run begins or goes on; with `same_order` every epoch is the first one again."""
        self.images, self.labels = part
        self.length, self.seeds, self.first_step, self.same_order = length, seeds, first_step, same_order
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.sampler = self  # Lightning announces the epoch to `loader.sampler.set_epoch`

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length.chunks_per_epoch

    def __iter__(self) -> Iterator[Chunk]:
        length = self.length
        begin = self.epoch * length.steps_per_epoch
        end = min(begin + length.steps_per_epoch, length.total_steps)
        epoch = 0 if self.same_order else self.epoch
        orders = torch.stack([epoch_order(len(self.images), seed, epoch) for seed in self.seeds])
        orders = orders.to(self.images.device)
        for start in range(begin, begin + length.steps_per_epoch, length.chunk_steps):
            stop = min(start + length.chunk_steps, end)
            if self.first_step >= stop and start < end:
                continue  # trained before the run went on
            first = max(start, self.first_step) - begin
            indices = orders[:, first * length.batch_size : max(0, stop - begin) * length.batch_size]
            yield Chunk((self.images, self.labels), indices, length.batch_size, self.rank, self.world_size)
