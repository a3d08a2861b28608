"""Metrics of predictions, in float64; losses, confusion and scores as scikit-learn and torchmetrics define them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from mnist_mlp.extras.inference.predictions import Floats, Ints, Predictions

BINS = 15


def committee(members: Sequence[Predictions]) -> Predictions:
    """The mean of the members' probabilities, taken over the same images."""
    mean = np.mean([member.probabilities for member in members], axis=0)
    # A probability may have been too small for a float64; its logarithm must stay finite.
    return Predictions(log_probabilities=np.log(np.maximum(mean, np.finfo(np.float64).tiny)), labels=members[0].labels)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion; accurate near 0 and 1, unlike the normal approximation.

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
    predicted = np.take_along_axis(predictions.log_probabilities, predictions.labels[:, None], axis=1)
    return abs(float(predicted.mean()))  # none is above 0, and `-` would make -0.0 of 0


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
class McNemar:
    only_first: int
    """Images that the first network alone has right."""
    only_second: int
    p_value: float
    """Probability of a split at least this uneven between two equally accurate networks."""


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


def worst_mistakes(predictions: Predictions, most: int) -> Ints:
    """Indices of mistakes, at most so many, those with the least probability of the true class first."""
    wrong = np.flatnonzero(~predictions.correct)
    of_truth = predictions.log_probabilities[wrong, predictions.labels[wrong]]
    worst: Ints = wrong[np.argsort(of_truth, kind="stable")][:most]
    return worst
