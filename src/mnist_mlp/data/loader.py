"""Batches by index out of tensors in memory, handed to Lightning a chunk at a time.

Lightning's own work around a batch (hooks, progress, logging) costs about a millisecond, as much as a whole optimizer
step of a small network. So what Lightning sees as one batch is here a *chunk*: the optimizer steps up to the next
point where something is to happen (a logged point, a validation). `training_step` loops over the minibatches of the
chunk, and everything that is counted, `global_step`, `max_steps`, the schedule, checkpoints and logged points, is
counted in optimizer steps. With `trainer.log_every_n_steps=1` a chunk is one minibatch and this is ordinary Lightning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.engine.run_length import Budget

EVALUATION_BATCH = 2_500


class Chunk:
    """Consecutive minibatches of one epoch, as indices; images are gathered batch by batch, to stay in the cache."""

    def __init__(
        self, images: Tensor, labels: Tensor, order: Tensor, batch_size: int, rank: int = 0, processes: int = 1
    ) -> None:
        """`images` `(N, 784)` uint8 and `labels` `(N,)` of the whole part, `order` the indices of this chunk."""
        self.images, self.labels, self.order, self.batch_size = images, labels, order, batch_size
        self.rank, self.processes = rank, processes

    def minibatches(self) -> tuple[Tensor, ...]:
        """The indices of each minibatch `(B,)`; the last one of an epoch may be shorter. None for an empty chunk."""
        return self.order.split(self.batch_size) if len(self.order) else ()

    def own(self, indices: Tensor) -> Tensor:
        """The part of a minibatch that this process trains on; sizes differ by one at most, and may be zero."""
        return indices.tensor_split(self.processes)[self.rank] if self.processes > 1 else indices


class TrainingLoader:
    """An epoch in chunks. Its order is a function of (seed, epoch), so it can begin anywhere.

    Every epoch has the same number of chunks, as Lightning wants it; those beyond the last step of the run are empty.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        budget: Budget,
        seed: int,
        first_step: int,
        same_order: bool,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        """`first_step` is where the run begins or goes on; with `same_order` every epoch is the first one again."""
        self.images, self.labels = images, labels
        self.rank, self.processes = rank, processes
        self.budget, self.seed, self.same_order = budget, seed, same_order
        self.first_step = first_step
        self.epoch = 0
        self.sampler = self  # Lightning announces the epoch to `loader.sampler.set_epoch`

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.budget.chunks_per_epoch

    def __iter__(self) -> Iterator[Chunk]:
        budget = self.budget
        begin = self.epoch * budget.steps_per_epoch
        end = min(begin + budget.steps_per_epoch, budget.total_steps)
        order = epoch_order(len(self.images), self.seed, 0 if self.same_order else self.epoch)
        for start in range(begin, begin + budget.steps_per_epoch, budget.chunk_steps):
            stop = min(start + budget.chunk_steps, end)
            if self.first_step >= stop and start < end:
                continue  # trained before the run went on
            first = max(start, self.first_step) - begin
            indices = order[first * budget.batch_size : (stop - begin) * budget.batch_size]
            yield Chunk(
                self.images,
                self.labels,
                indices.to(self.images.device),
                budget.batch_size,
                self.rank,
                self.processes,
            )


def in_batches(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What `function` says of all images, a batch at a time, so that memory stays small and in the cache."""
    return torch.cat([function(part) for part in images.split(EVALUATION_BATCH)])


class EvaluationLoader:
    """A part of the data in its own order, a few large batches of `(images, labels)`."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return math.ceil(len(self.images) / EVALUATION_BATCH)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.images.split(EVALUATION_BATCH), self.labels.split(EVALUATION_BATCH), strict=True)
