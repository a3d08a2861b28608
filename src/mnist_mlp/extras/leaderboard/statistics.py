"""Means over seeds with their confidence intervals, and tests of whether two means differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NO_SPREAD = 1e-12
"""Differences with a smaller standard deviation are equal but for rounding."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    mean: float
    half: float | None
    """Half the width of the 95 % confidence interval of the mean; None for a single value, which has none."""
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """Mean ± t s / sqrt(n), with t the 97.5 % point of Student's distribution with n - 1 degrees (Student 1908)."""
        count = len(values)
        mean = math.fsum(values) / count
        if count == 1:
            return cls(mean=mean, half=None, values=tuple(values))
        variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
        half = student_t(0.975, count - 1) * math.sqrt(variance / count)
        return cls(mean=mean, half=half, values=tuple(values))

    @property
    def interval(self) -> tuple[float, float]:
        half = self.half or 0.0
        return self.mean - half, self.mean + half


def paired_p_values(first: Mapping[int, float], others: Sequence[Mapping[int, float]]) -> Floats:
    """Two-sided p-values `(K,)` of the paired t-test between `first` and each other entry, all scores by seed.

    A pair is compared on the seeds that both have, so what a seed does to both of them cancels out (Student 1908).
    NaN where fewer than two seeds are shared. The p-value is 1 where `first` has not the higher mean on the shared
    seeds (it may lead by a seed of its own), and where the differences are the same at every seed: these have no
    spread to measure chance by.
    """
    seeds = sorted(first)
    table = np.array([[entry.get(seed, np.nan) for seed in seeds] for entry in others])  # (K, seeds)
    differences = np.array([first[seed] for seed in seeds]) - table
    shared = ~np.isnan(differences)
    count = shared.sum(axis=1)
    degrees = np.maximum(count - 1, 1)
    mean = np.where(shared, differences, 0).sum(axis=1) / np.maximum(count, 1)
    deviation = np.where(shared, differences - mean[:, None], 0)
    spread = np.sqrt((deviation**2).sum(axis=1) / degrees)
    leads = (mean > 0) & (spread > NO_SPREAD)
    t = np.where(leads, mean / np.maximum(spread, NO_SPREAD), 0) * np.sqrt(count)
    return np.where(count > 1, two_sided(t, degrees), np.nan)


def holm(p_values: Floats) -> Floats:
    """P-values `(M,)` adjusted for their number, so that 5 % is the risk of any false finding among all of them.

    Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6.
    """
    order = p_values.argsort(kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    return adjusted


def against_first(scores: Sequence[Mapping[int, float]]) -> list[float | None]:
    """P-values of the first's lead over each entry, adjusted by Holm for their number; None without a test.

    The higher score is the better one.

    The first is first because of these very scores, which favours it. What the correction guarantees: the entry that
    is truly the best is ruled out in at most 5 of 100 leaderboards (after Gupta 1965, "On some multiple decision
    (selection and ranking) rules"). What it does not guarantee: if all entries are equally good, some entry is called
    worse in more than 5 of 100 leaderboards, with ten entries in 12 of 100. So a lead that matters is confirmed with
    new seeds.
    """
    p_values = paired_p_values(scores[0], scores[1:])
    tested = ~np.isnan(p_values)
    p_values[tested] = holm(p_values[tested])
    return [None, *(None if math.isnan(p) else float(p) for p in p_values)]


@lru_cache(maxsize=4096)
def student_t(probability: float, degrees: int) -> float:
    """The point below which Student's t lies with `probability` in [0.5, 1): the inverse of its distribution."""
    low, high = 0.0, math.pi / 2  # of the angle atan(t / sqrt(degrees)), in which the distribution is smooth
    while (middle := (low + high) / 2) not in (low, high):
        if (1 + float(_within(middle, degrees))) / 2 < probability:
            low = middle
        else:
            high = middle
    return math.tan(low) * math.sqrt(degrees)


def two_sided(t: Floats, degrees: NDArray[np.int64]) -> Floats:
    """P(|T| >= |t|) of Student's distribution, to 1e-15; `t` and `degrees` `(N,)`."""
    p_values = np.empty_like(t)
    for count in np.unique(degrees):
        chosen = degrees == count
        angle = np.arctan(np.abs(t[chosen]) / math.sqrt(count))
        p_values[chosen] = np.clip(1 - _within(angle, int(count)), 0.0, 1.0)
    return p_values


def _within(angle: Any, degrees: int) -> Any:
    """P(|T| <= tan(angle) sqrt(degrees)), of a number or an array: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4."""
    sine, cosine = np.sin(angle), np.cos(angle)
    term = total = np.ones_like(cosine) if degrees % 2 == 0 else cosine
    for factor in range(2 + degrees % 2, degrees, 2):
        term = term * ((factor - 1) / factor * cosine**2)
        total = total + term
    if degrees % 2 == 0:
        return sine * total
    return 2 / math.pi * (angle + (sine * total if degrees > 1 else 0.0))
