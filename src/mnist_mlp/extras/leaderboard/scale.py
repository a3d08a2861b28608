"""The values of one key spread over [0, 1]: numbers on a linear scale, or on a logarithmic one if the largest is at
least 8 times the smallest; other values at equal distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mnist_mlp.extras.leaderboard.table import shown

TICKS = 6
CHARACTERS = 34
"""That fit side by side below a panel."""


class Scale:
    def __init__(self, values: Sequence[Any]) -> None:
        by_label = {shown(value): value for value in values}
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in by_label.values())
        if numeric and len(set(by_label.values())) == len(by_label):  # 1 and 1.0 may mean different things
            names = sorted(by_label, key=lambda name: by_label[name])
            places = np.array([by_label[name] for name in names], dtype=float)
            if places[0] > 0 and places[-1] / places[0] >= 8:
                places = np.log(places)
        else:
            # Numbers by value and lists of widths by their sum, then texts in the order of their first use.
            names = sorted(by_label, key=lambda name: _size(by_label[name]))
            places = np.arange(len(names), dtype=float)
        span = places[-1] - places[0]
        heights = (places - places[0]) / span if span else np.full(len(places), 0.5)
        self._places = dict(zip(names, map(float, heights), strict=True))

    def of(self, value: Any) -> float:
        return self._places[shown(value)]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Ticks (place, label); of many values, a subset at least 1/TICKS apart."""
        ticks = [(place, name) for name, place in self._places.items()]
        if len(ticks) <= TICKS:
            return ticks
        kept = [ticks[0]]
        for tick in ticks[1:-1]:
            if min(tick[0] - kept[-1][0], ticks[-1][0] - tick[0]) >= 1 / TICKS:
                kept.append(tick)
        return [*kept, ticks[-1]]

    @property
    def crowded(self) -> bool:
        """Whether the names of the ticks do not fit side by side."""
        places = [place for place, _ in self.ticks]
        nearest = min((right - left for left, right in pairwise(places)), default=1.0)
        return max(len(name) for _, name in self.ticks) > CHARACTERS * nearest


def _size(value: Any) -> float:
    numbers = value if isinstance(value, list) else [value]
    return float(sum(numbers)) if all(type(number) in (int, float) for number in numbers) else math.inf
