"""Chunks are the epoch's order cut into minibatches, against a plain loop."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from mnist_mlp.data.loader import TrainLoader
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.engine.chunked_length import ChunkedLength
from mnist_mlp.engine.chunks import Chunk, ChunkLoader


def part_of(images: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(images, 1, 1, 1, dtype=torch.uint8), torch.arange(images)


def loader(
    images: int = 100, batch: int = 8, chunk: int = 3, total: int = 39, first: int = 0, seeds: tuple[int, ...] = (0,)
) -> ChunkLoader:
    steps = -(-images // batch)
    length = ChunkedLength(
        batch_size=batch,
        steps_per_epoch=steps,
        total_steps=total,
        chunk_steps=chunk,
        steps_between_validations=steps,
    )
    return ChunkLoader(part_of(images), length=length, seeds=seeds, first_step=first, same_order=False)


def minibatches(training: ChunkLoader, epoch: int, member: int = 0) -> list[list[int]]:
    training.set_epoch(epoch)
    return [batch[member].tolist() for chunk in training for batch in chunk.minibatches()]


def test_the_minibatch_of_the_trial_has_an_image_for_each_rank() -> None:
    for images, ranks, expected in ((1, 3, [[5, 5, 5]]), (2, 3, [[5, 6, 5, 6]]), (4, 3, [[5, 6, 7, 8]])):
        order = torch.arange(5, 5 + images).unsqueeze(0)
        chunk = Chunk(part_of(9), order, batch_size=8, rank=0, world_size=ranks)
        assert chunk.first_minibatch().order.tolist() == expected
    one = Chunk(part_of(9), torch.tensor([[4, 5]]), batch_size=3, world_size=3).first_minibatch()
    assert one.order.tolist() == [[4, 5, 4]]


@st.composite
def runs(draw: st.DrawFn) -> dict[str, int]:
    """Images, batch, chunk, the last step of up to three epochs, and the step at which the run goes on."""
    images, batch = draw(st.integers(1, 90)), draw(st.integers(1, 40))
    total = draw(st.integers(1, 3 * -(-images // batch)))
    chunk, first = draw(st.integers(1, 12)), draw(st.integers(0, total - 1))
    return {"images": images, "batch": batch, "chunk": chunk, "total": total, "first": first}


@given(runs(), st.integers(0, 3))
def test_going_on_from_any_step_gives_what_was_left_of_the_order_cut_into_batches(case: Any, seed: int) -> None:
    images, batch, total, first = (case[name] for name in ("images", "batch", "total", "first"))
    orders = [epoch_order(images, seed, epoch).tolist() for epoch in range(3)]
    cut = [order[start : start + batch] for order in orders for start in range(0, images, batch)]
    steps = len(cut) // 3
    training = loader(**case, seeds=(7, seed))
    found = [minibatches(training, epoch, member=1) for epoch in range(first // steps, 3)]
    assert list(chain.from_iterable(found)) == cut[first:total]
    assert found[0] == cut[first : min(total, (first // steps + 1) * steps)]
    training.set_epoch(2)
    if first <= 2 * steps and total == 3 * steps:
        assert len(list(training)) == len(training)  # as many batches in each whole epoch, for Lightning
    plain = TrainLoader(part_of(images), batch, seed, steps_done=lambda: first)
    plain.set_epoch(first // steps)
    assert [labels.tolist() for _, labels in plain] == cut[first : (first // steps + 1) * steps]


def test_every_image_is_seen_once_an_epoch_and_each_epoch_has_its_own_order() -> None:
    first, second = (list(chain.from_iterable(minibatches(loader(), epoch))) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


def test_seed_zero_is_honoured_and_each_member_has_the_order_of_its_seed() -> None:
    assert minibatches(loader(seeds=(0,)), 0) == minibatches(loader(seeds=(5, 0)), 0, member=1)
    assert minibatches(loader(seeds=(0,)), 0) != minibatches(loader(seeds=(1,)), 0)
