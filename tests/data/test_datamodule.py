"""The split and the batches, against plain loops."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch

from mnist_mlp.data.loader import EvaluationLoader, TrainingLoader
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.data.split import split
from mnist_mlp.engine.run_length import Budget


def loader(images: int = 100, batch: int = 8, chunk: int = 3, total: int | None = None, first: int = 0, seed: int = 0):  # type: ignore[no-untyped-def]
    steps = -(-images // batch)
    budget = Budget(
        batch_size=batch,
        steps_per_epoch=steps,
        total_steps=total or 3 * steps,
        chunk_steps=chunk,
        chunks_between_validations=-(-steps // chunk),
    )
    pixels = torch.arange(images)[:, None].expand(images, 784).to(torch.uint8)
    return TrainingLoader(pixels, torch.arange(images), budget=budget, seed=seed, first_step=first, same_order=False)


def minibatches(training: TrainingLoader, epoch: int) -> list[list[int]]:
    training.set_epoch(epoch)
    return [batch.tolist() for chunk in training for batch in chunk.minibatches()]


@pytest.mark.parametrize("chunk", [1, 3, 13, 50])
def test_an_epoch_is_its_order_cut_into_batches_whatever_the_chunk(chunk: int) -> None:
    order = epoch_order(100, seed=0, epoch=1).tolist()
    assert minibatches(loader(chunk=chunk), 1) == [order[start : start + 8] for start in range(0, 100, 8)]


def test_every_image_is_seen_once_an_epoch_and_each_epoch_has_its_own_order() -> None:
    first, second = (list(chain.from_iterable(minibatches(loader(), epoch))) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


def test_seed_zero_is_honoured() -> None:
    assert minibatches(loader(seed=0), 0) == minibatches(loader(seed=0), 0)
    assert minibatches(loader(seed=0), 0) != minibatches(loader(seed=1), 0)


@pytest.mark.parametrize("first", [0, 1, 4, 12, 13, 20])
def test_going_on_from_any_step_gives_what_was_left(first: int) -> None:
    everything = minibatches(loader(), 0) + minibatches(loader(), 1)
    epoch = first // 13
    assert minibatches(loader(first=first), epoch) == everything[first : (epoch + 1) * 13]


def test_the_run_ends_at_its_last_step_in_the_middle_of_an_epoch() -> None:
    assert len(minibatches(loader(total=20), 1)) == 20 - 13


def test_evaluation_batches_are_the_part_in_its_own_order() -> None:
    images, labels = torch.arange(6_001 * 2).reshape(6_001, 2), torch.arange(6_001)
    batches = list(EvaluationLoader(images, labels))
    assert len(batches) == len(EvaluationLoader(images, labels)) == 3
    assert torch.equal(torch.cat([batch[0] for batch in batches]), images)


@pytest.mark.parametrize("val_size", [10, 500, 3_333])
def test_validation_is_stratified_and_does_not_overlap_training(val_size: int) -> None:
    labels = np.random.default_rng(0).choice(10, 6_000, p=np.arange(1, 11) / 55).astype(np.uint8)
    train, val = split(labels, val_size)
    assert len(val) == val_size
    assert sorted([*train, *val]) == list(range(6_000))
    counts, taken = Counter(labels.tolist()), Counter(labels[val].tolist())
    for label in range(10):
        assert abs(taken[label] - counts[label] * val_size / 6_000) < 1


def test_the_split_is_always_the_same_one() -> None:
    labels = np.arange(6_000) % 10
    np.testing.assert_array_equal(split(labels, 100)[1], split(labels, 100)[1])
