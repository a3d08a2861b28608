"""The decision rule for people's own pictures: when the digits that were read are an answer, and which are in doubt.

A number is accepted if the product of its digits' probabilities reaches the threshold, the OOD score of each digit is
at most the limit, which is a little higher for a digit beside others, and no digit is wider than `TOO_WIDE`. A wide
piece of ink that would be accepted as one digit is read as one. Otherwise it is read as two touching digits, if each
half has a lower OOD score than the whole.
demo/decision.mjs holds the same rule for the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnist_mlp.extras.inference.predictor import Calibration

NO_DIGIT = "does not look like a digit"
OTHER_DIGIT = "could be another digit"
TWO_DIGITS = "could be two digits"

TOO_WIDE = 1.4  # times its height: hardly any digit is wider. A wider piece is never accepted as one digit


@dataclass(frozen=True)
class ScoredDigit:
    """Confidence and OOD score of a candidate digit."""

    probability: float
    """Of the best guess."""
    ood_score: float
    """Out-of-distribution (OOD) score: the higher, the less like a digit."""
    aspect: float = 0.0
    """Its width in heights."""
    is_half: bool = False
    """Whether it is half of a piece that was cut, so the more lenient limit of a digit beside others does not apply."""


def is_two(whole: ScoredDigit, halves: Sequence[ScoredDigit], limit: float, calibration: Calibration) -> bool:
    """Whether a wide piece is to be read as two digits that touch, its `halves`; there may be none."""
    alone = whole.probability >= calibration.number_threshold and whole.ood_score <= limit
    if not halves or (alone and whole.aspect <= TOO_WIDE):
        return False
    return max(half.ood_score for half in halves) < whole.ood_score


def doubts(digits: Sequence[ScoredDigit], limit: float, calibration: Calibration) -> list[str | None]:
    """For each digit, why it is in doubt, or None. The number is accepted if none is in doubt.

    If the product of the probabilities is too small, the least sure digits are in doubt, until the product of the
    remaining probabilities is large enough.

    Args:
        limit: the highest out-of-distribution score with which the only digit of a picture is accepted.
    """
    beside_others = limit + (calibration.number_margin if len(digits) > 1 else 0.0)
    found: list[str | None] = []
    for digit in digits:
        looks_like_a_digit = digit.ood_score <= (limit if digit.is_half else beside_others)
        found.append(NO_DIGIT if not looks_like_a_digit else TWO_DIGITS if digit.aspect > TOO_WIDE else None)
    together = 1.0
    for place in sorted(range(len(digits)), key=lambda place: -digits[place].probability):
        together *= digits[place].probability
        if together < calibration.number_threshold and found[place] is None:
            found[place] = OTHER_DIGIT
    return found
