"""A mean over seeds, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


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


def student_t(probability: float, degrees: int) -> float:
    """The point below which Student's t lies with `probability` in [0.5, 1): the inverse of its distribution."""
    low, high = 0.0, math.pi / 2  # of the angle atan(t / sqrt(degrees)), in which the distribution is smooth
    while (middle := (low + high) / 2) not in (low, high):
        if (1 + _within(middle, degrees)) / 2 < probability:
            low = middle
        else:
            high = middle
    return math.tan(low) * math.sqrt(degrees)


def _within(angle: float, degrees: int) -> float:
    """P(|T| <= tan(angle) sqrt(degrees)): Abramowitz and Stegun 1964, 26.7.3 and 26.7.4."""
    term = total = 1.0 if degrees % 2 == 0 else math.cos(angle)
    for factor in range(2 + degrees % 2, degrees, 2):
        term *= (factor - 1) / factor * math.cos(angle) ** 2
        total += term
    if degrees % 2 == 0:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + (math.sin(angle) * total if degrees > 1 else 0.0))
