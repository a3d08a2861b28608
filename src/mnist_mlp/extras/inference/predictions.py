"""Predictions with their labels, and selective classification: what share may be answered at what risk of an error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predicted log-probabilities of labelled images."""

    log_probabilities: Floats
    """`(N, C)`, natural logarithms; their exponentials sum to one along a row."""
    labels: Ints
    """`(N,)`, indices of the true classes."""

    @cached_property
    def probabilities(self) -> Floats:
        """`(N, C)`."""
        return np.exp(self.log_probabilities)

    @cached_property
    def guesses(self) -> Ints:
        """`(N,)`: the most probable class, the first one of equals."""
        guesses: Ints = self.log_probabilities.argmax(axis=1)
        return guesses

    @cached_property
    def confidences(self) -> Floats:
        """`(N,)`: the probability of the guess."""
        confidences: Floats = self.probabilities.max(axis=1)
        return confidences

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """`(N,)`."""
        correct: NDArray[np.bool_] = self.guesses == self.labels
        return correct

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())

    def at_temperature(self, temperature: float) -> Predictions:
        """The same guesses, less sure of themselves above 1 and surer below (Guo et al. 2017, sec. 4.2)."""
        return Predictions(
            log_probabilities=log_softmax(self.log_probabilities / temperature),
            labels=self.labels,
        )


def log_softmax(scores: Floats) -> Floats:
    """Scores `(N, C)`, logits or log-probabilities, to log-probabilities `(N, C)` in float64."""
    shifted = scores.astype(np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Answer where the confidence is at least `threshold`, and refuse the rest."""

    threshold: float
    coverage: float
    """Share of the images that are answered."""
    error: float
    """Share of the answers that are wrong."""


def at_threshold(predictions: Predictions, threshold: float) -> OperatingPoint:
    """Coverage and error if every image with at least this confidence is answered; without answers the error is 0."""
    answered = predictions.confidences >= threshold
    wrong, count = (int(np.count_nonzero(part)) for part in (answered & ~predictions.correct, answered))
    return OperatingPoint(
        threshold=threshold,
        coverage=float(answered.mean()),
        error=wrong / max(count, 1),
    )


def risk_coverage(predictions: Predictions) -> tuple[Floats, Floats, Floats]:
    """Thresholds, descending, with the coverage and the error at each (Geifman and El-Yaniv 2017): `(K,)` each.

    Every confidence that occurs is a threshold once: images of equal confidence are answered together or not at all.
    """
    order = np.argsort(-predictions.confidences, kind="stable")
    confidences = predictions.confidences[order]
    wrong = np.cumsum(~predictions.correct[order])
    last = np.flatnonzero(np.append(confidences[1:] != confidences[:-1], True))
    answered = last + 1
    return confidences[last], answered / len(order), wrong[last] / answered


def coverage_at_risk(predictions: Predictions, risk: float) -> OperatingPoint:
    """The most that can be answered with at most `risk` of the answers wrong; nothing, where no threshold does it."""
    thresholds, _, error = risk_coverage(predictions)
    allowed = thresholds[error <= risk]
    return at_threshold(predictions, float(allowed[-1]) if len(allowed) else math.inf)
