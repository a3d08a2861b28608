"""A number is judged as a number: by the product of its digits' probabilities and by its least likely digit."""

from __future__ import annotations

import math

import numpy as np

from mnist_mlp.extras.inference.decision import NO_DIGIT, OTHER_DIGIT, doubts
from mnist_mlp.extras.inference.predictor import Calibration

CALIBRATION = Calibration(number_threshold=0.8, number_margin=0.5)


def test_a_number_is_an_answer_exactly_where_all_its_digits_are_probably_right() -> None:
    generator = np.random.default_rng(0)
    answered = 0
    for _ in range(300):
        probabilities = generator.uniform(0.9, 1, generator.integers(1, 8)).tolist()
        found = doubts(probabilities, [0.0] * len(probabilities), 1.0, CALIBRATION)
        assert (set(found) == {None}) == (math.prod(probabilities) >= 0.8)
        answered += set(found) == {None}
    assert 50 < answered < 250


def test_the_least_sure_digits_are_in_doubt_until_the_others_are_an_answer() -> None:
    assert doubts([0.99, 0.6, 0.95, 0.7], [0.0] * 4, 1.0, CALIBRATION) == [None, OTHER_DIGIT, None, OTHER_DIGIT]
    assert doubts([0.79], [0.0], 1.0, CALIBRATION) == [OTHER_DIGIT]


def test_a_digit_may_look_a_little_less_like_one_beside_others() -> None:
    assert doubts([1.0], [1.2], 1.0, CALIBRATION) == [NO_DIGIT]
    assert doubts([1.0, 1.0], [1.2, -9.0], 1.0, CALIBRATION) == [None, None]
    assert doubts([1.0, 1.0], [1.6, -9.0], 1.0, CALIBRATION) == [NO_DIGIT, None]


def test_without_a_calibration_everything_is_an_answer() -> None:
    assert doubts([0.1, 0.2], [5.0, 7.0], math.inf, Calibration()) == [None, None]
