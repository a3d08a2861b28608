"""Chunks are the epoch's order cut into minibatches, against a plain loop."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.engine.chunks import ChunkLoader
from mnist_mlp.engine.run_length import RunLength


def loader(chunk: int = 3, total: int | None = None, first: int = 0, seeds: tuple[int, ...] = (0,)) -> ChunkLoader:
    images, batch = 100, 8
    steps = -(-images // batch)
    length = RunLength(
        batch_size=batch,
        steps_per_epoch=steps,
        total_steps=total or 3 * steps,
        chunk_steps=chunk,
        chunks_between_validations=-(-steps // chunk),
    )
    part = torch.zeros(images, 1, 2, 2, dtype=torch.uint8), torch.arange(images)
    return ChunkLoader(part, length=length, seeds=seeds, first_step=first, same_order=False)


def minibatches(training: ChunkLoader, epoch: int, member: int = 0) -> list[list[int]]:
    training.set_epoch(epoch)
    return [batch[member].tolist() for chunk in training for batch in chunk.minibatches()]


@pytest.mark.parametrize("chunk", [1, 3, 13, 50])
def test_an_epoch_is_its_order_cut_into_batches_whatever_the_chunk(chunk: int) -> None:
    order = epoch_order(100, seed=0, epoch=1).tolist()
    assert minibatches(loader(chunk=chunk), 1) == [order[start : start + 8] for start in range(0, 100, 8)]


def test_every_image_is_seen_once_an_epoch_and_each_epoch_has_its_own_order() -> None:
    first, second = (list(chain.from_iterable(minibatches(loader(), epoch))) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


def test_seed_zero_is_honoured_and_each_member_has_the_order_of_its_seed() -> None:
    assert minibatches(loader(seeds=(0,)), 0) == minibatches(loader(seeds=(5, 0)), 0, member=1)
    assert minibatches(loader(seeds=(0,)), 0) != minibatches(loader(seeds=(1,)), 0)


@pytest.mark.parametrize("first", [0, 1, 4, 12, 13, 20])
def test_going_on_from_any_step_gives_what_was_left(first: int) -> None:
    everything = minibatches(loader(), 0) + minibatches(loader(), 1)
    epoch = first // 13
    assert minibatches(loader(first=first), epoch) == everything[first : (epoch + 1) * 13]


def test_the_run_ends_at_its_last_step_in_the_middle_of_an_epoch() -> None:
    assert len(minibatches(loader(total=20), 1)) == 20 - 13
