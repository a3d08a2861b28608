"""A number is judged as a number: by the product of its digits' probabilities and by its least likely digit."""

from __future__ import annotations

import math

import numpy as np

from mnist_mlp.extras.inference.decision import NO_DIGIT, OTHER_DIGIT, TWO_DIGITS, ScoredDigit, doubts, is_two
from mnist_mlp.extras.inference.predictor import Calibration

CALIBRATION = Calibration(number_threshold=0.8, number_margin=0.5)


def judged(*digits: tuple[float, float]) -> list[ScoredDigit]:
    return [ScoredDigit(probability, score) for probability, score in digits]


def test_a_number_is_an_answer_exactly_where_all_its_digits_are_probably_right() -> None:
    generator = np.random.default_rng(0)
    answered = 0
    for _ in range(300):
        probabilities = generator.uniform(0.9, 1, generator.integers(1, 8)).tolist()
        found = doubts(judged(*((probability, 0.0) for probability in probabilities)), 1.0, CALIBRATION)
        assert (set(found) == {None}) == (math.prod(probabilities) >= 0.8)
        answered += set(found) == {None}
    assert 50 < answered < 250


def test_the_least_sure_digits_are_in_doubt_until_the_others_are_an_answer() -> None:
    found = doubts(judged((0.99, 0), (0.6, 0), (0.95, 0), (0.7, 0)), 1.0, CALIBRATION)
    assert found == [None, OTHER_DIGIT, None, OTHER_DIGIT]
    assert doubts(judged((0.79, 0)), 1.0, CALIBRATION) == [OTHER_DIGIT]


def test_a_digit_may_look_a_little_less_like_one_beside_others_unless_it_was_cut_off_one() -> None:
    assert doubts(judged((1, 1.2)), 1.0, CALIBRATION) == [NO_DIGIT]
    assert doubts(judged((1, 1.2), (1, -9)), 1.0, CALIBRATION) == [None, None]
    assert doubts(judged((1, 1.6), (1, -9)), 1.0, CALIBRATION) == [NO_DIGIT, None]
    assert doubts([ScoredDigit(1, 1.2, is_half=True), ScoredDigit(1, -9)], 1.0, CALIBRATION) == [NO_DIGIT, None]


def test_what_is_too_wide_for_one_digit_is_never_an_answer_as_one() -> None:
    assert doubts([ScoredDigit(1, -9, aspect=1.5)], 1.0, CALIBRATION) == [TWO_DIGITS]
    assert doubts([ScoredDigit(1, -9, aspect=1.3)], 1.0, CALIBRATION) == [None]


def test_a_wide_piece_is_two_digits_where_it_is_no_answer_as_one_and_both_look_more_like_digits() -> None:
    halves = judged((0.9, -2), (0.9, -1))
    for whole, expected in (
        (ScoredDigit(0.99, 0.5, aspect=1.0), False),  # an answer
        (ScoredDigit(0.99, 0.5, aspect=1.5), True),
        (ScoredDigit(0.7, 0.5, aspect=1.0), True),
        (ScoredDigit(0.99, 3, aspect=1.0), True),
        (ScoredDigit(0.7, -1.5, aspect=1.5), False),
    ):
        assert is_two(whole, halves, 1.0, CALIBRATION) == expected
    assert not is_two(ScoredDigit(0.7, 0.5, aspect=1.5), [], 1.0, CALIBRATION)


def test_without_a_calibration_everything_is_an_answer() -> None:
    assert doubts(judged((0.1, 5), (0.2, 7)), math.inf, Calibration()) == [None, None]
