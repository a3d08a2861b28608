"""The decision rule for people's own pictures: when the digits that were read are an answer, and which are in doubt.

A number is answered where the probability that all its digits are right reaches the threshold and each of them looks
like a digit; among other digits it may look a little less so. demo/network.mjs holds the same rule for the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnist_mlp.extras.inference.predictor import Calibration

NO_DIGIT = "does not look like a digit"
OTHER_DIGIT = "could be another digit"


def doubts(
    probabilities: Sequence[float], scores: Sequence[float], limit: float, calibration: Calibration
) -> list[str | None]:
    """Why each digit of a picture is in doubt, or None; no doubt at all makes the number an answer.

    Where the product of the probabilities is too small, the least sure digits are in doubt until that of the others
    is large enough.

    Args:
        probabilities: `(N,)`, of each digit's best guess.
        scores: `(N,)`, out-of-distribution; `limit` is that of a digit alone.
    """
    limit += calibration.number_margin if len(scores) > 1 else 0.0
    found: list[str | None] = [None if score <= limit else NO_DIGIT for score in scores]
    together = 1.0
    for place in sorted(range(len(probabilities)), key=lambda place: -probabilities[place]):
        together *= probabilities[place]
        if together < calibration.number_threshold and found[place] is None:
            found[place] = OTHER_DIGIT
    return found
