"""Every number said about a classifier's predictions, in float64 and defined as scikit-learn and torchmetrics do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 15


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a network said about images whose labels are known."""

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


def committee(members: Sequence[Predictions]) -> Predictions:
    """The mean of the members' probabilities, taken over the same images."""
    mean = np.mean([member.probabilities for member in members], axis=0)
    # A probability may have been too small for a float64; its logarithm must stay finite.
    return Predictions(log_probabilities=np.log(np.maximum(mean, np.finfo(np.float64).tiny)), labels=members[0].labels)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share: honest near 0 and 1, where the normal approximation is not.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    middle = share + z**2 / (2 * trials)
    reach = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def nll(predictions: Predictions) -> float:
    """Mean negative log-likelihood, in nats an image: the cross-entropy, scikit-learn's `log_loss`."""
    said = np.take_along_axis(predictions.log_probabilities, predictions.labels[:, None], axis=1)
    return -float(said.mean())


def brier(predictions: Predictions) -> float:
    """Mean squared distance between the probabilities and the truth, summed over classes, in [0, 2] (Brier 1950)."""
    truth = np.eye(predictions.probabilities.shape[1])[predictions.labels]
    return float(((predictions.probabilities - truth) ** 2).sum(axis=1).mean())


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Confidence against accuracy in bins of equal width over [0, 1]; empty bins hold zeros."""

    edges: Floats
    """`(bins + 1,)`."""
    counts: Ints
    """`(bins,)`: images in each bin."""
    confidence: Floats
    """`(bins,)`: mean confidence in each bin."""
    accuracy: Floats
    """`(bins,)`: share of right guesses in each bin."""

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean gap between the two over all images (Naeini et al. 2015)."""
        return float(self.counts @ np.abs(self.confidence - self.accuracy) / self.counts.sum())


def reliability(predictions: Predictions, bins: int = BINS) -> Reliability:
    """The reliability diagram of DeGroot and Fienberg (1983), by the confidence of the guess."""
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, predictions.confidences, side="right") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    full = np.maximum(counts, 1)
    return Reliability(
        edges=edges,
        counts=counts,
        confidence=np.bincount(place, predictions.confidences, bins) / full,
        accuracy=np.bincount(place, predictions.correct, bins) / full,
    )


def ece(predictions: Predictions, bins: int = BINS) -> float:
    """Expected calibration error; see `Reliability.ece`."""
    return reliability(predictions, bins).ece


def confusion(predictions: Predictions) -> Ints:
    """`(C, C)`: how many images of the row's class were taken for the column's."""
    classes = predictions.log_probabilities.shape[1]
    pairs = predictions.labels * classes + predictions.guesses
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def per_class(matrix: Ints, class_names: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Precision, recall, F1 and number of images of each class, from `confusion`; a share of nothing is 0."""
    hits, guessed, there = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    return {
        name: {
            "precision": _share(hits[index], guessed[index]),
            "recall": _share(hits[index], there[index]),
            "f1": _share(2 * hits[index], guessed[index] + there[index]),
            "images": int(there[index]),
        }
        for index, name in enumerate(class_names)
    }


def _share(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Answer where the confidence is at least `threshold`, and refuse the rest."""

    threshold: float
    coverage: float
    """Share of the images that are answered."""
    error: float
    """Share of the answers that are wrong."""


def at_threshold(predictions: Predictions, threshold: float) -> OperatingPoint:
    """What answering from this confidence on comes to; where nothing is answered, nothing is wrong."""
    answered = predictions.confidences >= threshold
    wrong = np.count_nonzero(answered & ~predictions.correct)
    return OperatingPoint(
        threshold=threshold,
        coverage=float(answered.mean()),
        error=_share(wrong, np.count_nonzero(answered)),
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


@dataclass(frozen=True, kw_only=True)
class McNemar:
    only_first: int
    """Images that the first network alone has right."""
    only_second: int
    p_value: float
    """How probable so uneven a split, or a more uneven one, is between two networks that are equally good."""


def mcnemar(first: Predictions, second: Predictions) -> McNemar:
    """McNemar's exact test of two networks on the same images: a two-sided sign test on those that they differ on.

    McNemar (1947), "Note on the sampling error of the difference between correlated proportions", Psychometrika 12.
    """
    only_first = int(np.count_nonzero(first.correct & ~second.correct))
    only_second = int(np.count_nonzero(second.correct & ~first.correct))
    differing = only_first + only_second
    tail = sum(math.comb(differing, count) for count in range(min(only_first, only_second) + 1))
    return McNemar(
        only_first=only_first,
        only_second=only_second,
        p_value=min(1.0, 2 * tail / 2**differing),
    )
