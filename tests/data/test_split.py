"""The split of training images, over labels of every kind: against its definition, and to the bit on those of MNIST."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mnist_mlp.data.split import split


@st.composite
def labels_and_size(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Labels of a few classes, some of them rare, in any order, and a size that can be taken."""
    counts = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    names = draw(st.lists(st.integers(0, 200), min_size=len(counts), max_size=len(counts), unique=True))
    labels = np.random.default_rng(draw(st.integers(0, 9))).permutation(np.repeat(names, counts))
    dtype = draw(st.sampled_from([np.uint8, np.int64]))
    return labels.astype(dtype), draw(st.integers(0, len(labels) - len(counts)))


@given(labels_and_size())
def test_every_image_is_on_one_side_and_validation_has_the_size_asked_for(case: tuple[np.ndarray, int]) -> None:
    labels, size = case
    train, val = split(labels, size)
    assert len(val) == size and sorted([*train, *val]) == list(range(len(labels)))
    assert (np.diff(train) > 0).all() and (np.diff(val) > 0).all()


@given(labels_and_size())
def test_every_class_gives_its_share_and_keeps_an_image_for_training(case: tuple[np.ndarray, int]) -> None:
    """A class gives less than one image more or less than its share, or all but one where others have none left."""
    labels, size = case
    train, val = split(labels, size)
    for label in np.unique(labels):
        has, gives = int((labels == label).sum()), int((labels[val] == label).sum())
        assert (labels[train] == label).any()
        assert gives >= int(has * size / len(labels))
        crowded = any((labels == other).sum() * size / len(labels) > (labels == other).sum() - 1 for other in labels)
        assert gives < has * size / len(labels) + 1 or crowded


@given(labels_and_size())
def test_the_split_is_a_function_of_labels_and_size(case: tuple[np.ndarray, int]) -> None:
    labels, size = case
    for first, second in zip(split(labels, size), split(labels.astype(np.int32), size), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_split_is_the_one_that_earlier_checkpoints_were_validated_on() -> None:
    labels = np.arange(60_000) * 7 // 3 % 10
    _, val = split(labels.astype(np.uint8), 5_000)
    assert (
        hashlib.sha256(val.astype("<i8").tobytes()).hexdigest()
        == "21d1464d1556c33b521352ae44051315aaa38bbfccdeb39244b03c3830d2215a"
    )
