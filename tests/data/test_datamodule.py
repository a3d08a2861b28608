"""The split and the batches, against plain loops."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch

from mnist_mlp.data.loader import EvaluationLoader, TrainLoader, evaluation_batch, in_batches
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.data.split import split


def loader(first: int = 0, seed: int = 0, **other: Any) -> TrainLoader:
    part = torch.zeros(100, 1, 2, 2, dtype=torch.uint8), torch.arange(100)
    return TrainLoader(part, 8, seed, steps_done=lambda: first, **other)


def minibatches(training: TrainLoader, epoch: int) -> list[list[int]]:
    training.set_epoch(epoch)
    return [labels.tolist() for _, labels in training]


def test_an_epoch_is_its_order_cut_into_batches() -> None:
    order = epoch_order(100, seed=0, epoch=1).tolist()
    assert minibatches(loader(), 1) == [order[start : start + 8] for start in range(0, 100, 8)]
    assert minibatches(loader(), 0) != minibatches(loader(seed=1), 0)
    assert minibatches(loader(same_order=True), 1) == minibatches(loader(), 0)


@pytest.mark.parametrize("first", [0, 1, 4, 12, 13, 20])
def test_going_on_from_any_step_gives_what_was_left(first: int) -> None:
    everything = minibatches(loader(), 0) + minibatches(loader(), 1)
    epoch = first // 13
    assert minibatches(loader(first=first), epoch) == everything[first : (epoch + 1) * 13]


def test_a_later_epoch_is_whole_even_if_a_batch_counts_as_two_steps() -> None:
    """As with two optimizers, of a module that optimizes manually."""
    part = torch.zeros(100, 1, 2, 2, dtype=torch.uint8), torch.arange(100)
    steps = [0]
    training = TrainLoader(part, 8, seed=0, steps_done=lambda: steps[0])
    for epoch in range(3):
        assert len(minibatches(training, epoch)) == 13
        steps[0] += 26


@pytest.mark.parametrize("limit", [4, 0.4])
def test_a_run_with_shorter_epochs_goes_on_where_it_stopped(limit: int | float) -> None:
    steps = 4 if limit == 4 else 5  # of 13, rounded down
    left = minibatches(loader(first=steps + 2, limit=limit), 1)[: steps - 2]
    assert left == minibatches(loader(), 1)[2:steps]


def test_processes_share_every_minibatch() -> None:
    part = torch.zeros(100, 1, 2, 2, dtype=torch.uint8), torch.arange(100)
    shares = [[labels.tolist() for _, labels in TrainLoader(part, 8, 0, rank=rank, world_size=3)] for rank in range(3)]
    together = [list(chain.from_iterable(batches)) for batches in zip(*shares, strict=True)]
    assert together == minibatches(loader(), 0)


def test_evaluation_batches_are_the_part_in_its_own_order() -> None:
    images, labels = torch.arange(6_001 * 2).reshape(6_001, 2), torch.arange(6_001)
    batches = list(EvaluationLoader((images, labels), 2_500))
    assert len(batches) == len(EvaluationLoader((images, labels), 2_500)) == 3
    assert torch.equal(torch.cat([batch[0] for batch in batches]), images)


@pytest.mark.parametrize(
    ("shape", "trained_at_once", "expected"),
    [
        ((1, 28, 28), 128, 2_500),
        ((1, 28, 28), 10_000, 2_500),
        ((784,), 1, 2_500),
        ((1, 8, 8), 128, 2_500),
        ((3, 224, 224), 8, 13),
        ((3, 224, 224), 64, 64),
        ((3, 4_000, 4_000), 1, 1),
    ],
)
def test_a_batch_of_evaluation_has_fewer_images_if_they_are_large(
    shape: tuple[int, ...], trained_at_once: int, expected: int
) -> None:
    assert evaluation_batch(torch.empty(0, *shape), known_to_fit=trained_at_once) == expected


def test_outputs_for_large_images_are_computed_in_small_batches() -> None:
    seen: list[int] = []

    def first_values(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        return part[:, 0, 0, 0]

    images = torch.zeros(30, 3, 224, 224, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(30)
    assert in_batches(first_values, images).tolist() == list(range(30))
    assert seen == [13, 13, 4]


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
