"""Inputs of the hand-written step: the images of each minibatch, gathered, augmented and normalised.

Augmentation takes up to half as long as the step itself. If a core is free, a thread augments the next minibatch
meanwhile. Its noise is a function of (seed, step), so the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from mnist_mlp.data.augment import Augmentation, augments
from mnist_mlp.distributed.hardware import cores
from mnist_mlp.distributed.world import ranks_per_node
from mnist_mlp.engine.chunks import Chunk

if TYPE_CHECKING:
    from mnist_mlp.engine.member import Member


class StepInputs:
    """Inputs `(M, B, pixels)` of the steps of a chunk, for M members, in the dtype of their weights."""

    def __init__(self, members: Sequence[Member], batch_size: int, *, like: Tensor) -> None:
        """
        Args:
            batch_size: the largest number of images in a step.
            like: has the dtype and the device of the weights.
        """
        modules = [member.module for member in members]
        self.normalise_ = modules[0].network.normalise_
        self.seeds = [module.config.seed for module in modules]
        self.augmentations = [
            Augmentation(module.config.augment, module.data.image_shape, like.device)
            if augments(module.config.augment)
            else None
            for module in modules
        ]
        self.in_thread = (
            like.device.type == "cpu" and self._is_single_augmented_network() and _has_free_core(members[0])
        )
        # Allocated once: a large tensor allocated in every step would be paged in each time.
        pixels = modules[0].network.input_shape[0]
        self._memory = like.new_empty(2 if self.in_thread else 1, len(members) * batch_size, pixels)

    def _is_single_augmented_network(self) -> bool:
        """Whether there is one network, with augmentation. Stacks belong to a sweep, which already uses every core."""
        return len(self.augmentations) == 1 and self.augmentations[0] is not None

    def of(
        self,
        chunk: Chunk,
        minibatches: Sequence[Tensor],
        sizes: Sequence[int],
        first_step: int,
        generators: Mapping[int, Generator],
    ) -> Iterator[Tensor]:
        """The inputs of each step; valid until the next ones are asked for.

        Args:
            minibatches: for each step, indices `(M, B)` of this rank's images.
            sizes: for each step, images of all ranks.
            first_step: optimizer steps of the run before this chunk.
            generators: for steps that are recorded as a CUDA graph, the noise generator of each member, by its row. The
                noise of a member without one is a function of (seed, step).
        """

        def make(number: int) -> Tensor:
            memory = self._memory[number % len(self._memory)]
            indices = minibatches[number]
            images = chunk.images.index_select(0, indices.flatten())
            x = memory[: len(images)].copy_(images.flatten(1)).unflatten(0, indices.shape)
            for member, augmentation in enumerate(self.augmentations):
                if augmentation is None:
                    continue
                if member in generators:
                    shape, generator = (indices.shape[1], augmentation.noise_size), generators[member]
                    noise = torch.randn(shape, generator=generator, dtype=torch.float32, device=images.device)
                else:
                    noise = augmentation.draw(self.seeds[member], first_step + number, sizes[number])
                    noise = chunk.share_of_rank(noise).to(images.device)
                x[member] = augmentation(images.unflatten(0, indices.shape)[member], noise).flatten(1)
            return self.normalise_(x)

        steps = range(len(minibatches))
        return _one_ahead(make, steps) if self.in_thread and len(steps) > 1 else map(make, steps)


def _one_ahead(make: Callable[[int], Tensor], steps: Sequence[int]) -> Iterator[Tensor]:
    """`make(step)` for each step: made in a thread while the one before it is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="inputs") as thread:
        following = thread.submit(make, steps[0])
        for step in steps[1:]:
            made, following = following.result(), thread.submit(make, step)
            yield made
        yield following.result()


def _has_free_core(member: Member) -> bool:
    """Whether torch's threads leave a core of this process idle; if `threads` is set, no other thread is started."""
    config = member.config
    return config.threads is None and torch.get_num_threads() < cores() // ranks_per_node(config.trainer)
