"""Loaders: batches by index out of tensors in memory, without any Python work per image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mnist_mlp.config.schema import Config
from mnist_mlp.data.run_length import limit_batches
from mnist_mlp.data.seeding import epoch_order

MAX_IMAGES, MAX_VALUES = 2_500, 2_500 * 28 * 28  # in one batch of evaluation

Part = tuple[Tensor, Tensor]
"""images `(N, C, H, W)` uint8 and labels `(N,)` int64"""
Batch = tuple[Tensor, Tensor]
"""the same for the images of one batch"""


class EpochLoader:
    """Base class of the training loaders: the images, the share of this rank, and the order in an epoch.

    The order is a function of (seed, epoch), so that a loader can start within an epoch.
    """

    def __init__(self, part: Part, *, same_order: bool, rank: int, world_size: int) -> None:
        """
        Args:
            same_order: every epoch has the order of the first one.
            rank, world_size: each rank gets its share of every minibatch.
        """
        self.images, self.labels = part
        self.same_order = same_order
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.sampler = self  # Lightning calls `loader.sampler.set_epoch`

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def order(self, seed: int) -> Tensor:
        """Indices of all images in this epoch, `(N,)`. The networks of a stack share one loader, with several seeds."""
        return epoch_order(len(self.images), seed, 0 if self.same_order else self.epoch)


class TrainLoader(EpochLoader):
    """Minibatches of an epoch; those that a resumed run has used are skipped."""

    def __init__(
        self,
        part: Part,
        batch_size: int,
        seed: int,
        *,
        steps_done: Callable[[], int] = lambda: 0,
        limit: int | float = 1.0,
        same_order: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """
        Args:
            steps_done: gives the optimizer steps already done, when an epoch begins: Lightning restores their number
                after it has created the loaders.
            limit: the trainer's `limit_train_batches`. Lightning ends each epoch after so many minibatches; here it is
                needed only to count the steps of complete epochs.
        """
        super().__init__(part, same_order=same_order, rank=rank, world_size=world_size)
        self.batch_size, self.seed, self.steps_done, self.limit = batch_size, seed, steps_done, limit
        self._begun = False

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.order(self.seed)
        # Batches are skipped only in the first epoch of this process, within which a resume may begin. In later epochs
        # `steps_done` (`global_step`) may exceed the number of batches: a module may make several steps for each.
        done = 0 if self._begun else max(0, self.steps_done() - self.epoch * limit_batches(self.limit, len(self)))
        self._begun = True
        for indices in order.split(self.batch_size)[done:]:
            own = indices.tensor_split(self.world_size)[self.rank].to(self.images.device)
            yield self.images[own], self.labels[own]


class EvaluationLoader:
    """Batches `(images, labels)` in the order of the data."""

    def __init__(self, part: Part, batch_size: int) -> None:
        self.images, self.labels = part
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True)


def limited_part(part: Part, limit: int | float, config: Config) -> Part:
    """Images and labels of the first batches, limited by `limit` (as `trainer.limit_*_batches`) or `fast_dev_run`."""
    images, labels = part
    batches = math.ceil(len(images) / config.data.batch_size)
    few = limit_batches(int(config.trainer.fast_dev_run) or limit, batches)
    return images[: few * config.data.batch_size], labels[: few * config.data.batch_size]


def evaluation_batch(images: Tensor, known_to_fit: int = 1) -> int:
    """Number of images `(N, ...)` in one batch of evaluation: 2,500 of 28 x 28, fewer of a larger size.

    Args:
        known_to_fit: number of images that fit into the memory, since training takes as many at once.
    """
    return min(MAX_IMAGES, max(known_to_fit, MAX_VALUES // math.prod(images.shape[1:])))


def in_batches(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The outputs of `function` for all images, computed in batches that fit into the memory."""
    return torch.cat([function(part) for part in images.split(evaluation_batch(images))])
