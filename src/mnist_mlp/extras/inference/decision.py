"""The decision rule for people's own pictures: when the digits that were read are an answer, and which are in doubt.

A number is answered where the probability that all its digits are right reaches the threshold and each of them looks
like a digit; among other digits it may look a little less so. A wide connected piece of ink is read as one digit if
that alone would be an answer. Otherwise it is read as two touching digits, if each half looks more like a digit than
the whole piece. demo/decision.mjs holds the same rule for the page.
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
class Judged:
    """What the network makes of one digit, or of what may be one."""

    probability: float
    """Of the best guess."""
    score: float
    """Out-of-distribution: the higher, the less like a digit."""
    aspect: float = 0.0
    """Its width in heights."""
    is_half: bool = False
    """Whether it is half of a piece that was cut, so the more lenient limit of a digit beside others does not apply."""


def is_two(whole: Judged, halves: Sequence[Judged], limit: float, calibration: Calibration) -> bool:
    """Whether a wide piece is to be read as two digits that touch, its `halves`; there may be none."""
    alone = whole.probability >= calibration.number_threshold and whole.score <= limit
    if not halves or (alone and whole.aspect <= TOO_WIDE):
        return False
    return max(half.score for half in halves) < whole.score


def doubts(digits: Sequence[Judged], limit: float, calibration: Calibration) -> list[str | None]:
    """Why each digit of a picture is in doubt, or None; no doubt at all makes the number an answer.

    If the product of the probabilities is too small, the least sure digits are in doubt, until the product of the
    remaining probabilities is large enough.

    Args:
        limit: the highest out-of-distribution score of a digit alone.
    """
    beside_others = limit + (calibration.number_margin if len(digits) > 1 else 0.0)
    found: list[str | None] = []
    for digit in digits:
        looks_like_one = digit.score <= (limit if digit.is_half else beside_others)
        found.append(NO_DIGIT if not looks_like_one else TWO_DIGITS if digit.aspect > TOO_WIDE else None)
    together = 1.0
    for place in sorted(range(len(digits)), key=lambda place: -digits[place].probability):
        together *= digits[place].probability
        if together < calibration.number_threshold and found[place] is None:
            found[place] = OTHER_DIGIT
    return found
