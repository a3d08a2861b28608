"""The confidence interval, against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mnist_mlp.extras.leaderboard.statistics import Estimate, student_t


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 6, 9, 10, 29, 30, 199, 200])
@pytest.mark.parametrize("probability", [0.6, 0.95, 0.975, 0.9995])
def test_students_t_is_that_of_scipy(degrees: int, probability: float) -> None:
    assert student_t(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-10)


@pytest.mark.parametrize("values", [(0.98, 0.981), (0.9, 0.95, 0.91), tuple(np.linspace(0.97, 0.99, 12))])
def test_the_interval_of_a_mean_is_that_of_scipy(values: tuple[float, ...]) -> None:
    estimate = Estimate.of(values)
    expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert estimate.interval == pytest.approx(expected, rel=1e-10)


def test_a_single_value_has_no_interval() -> None:
    assert Estimate.of([0.98]) == Estimate(mean=0.98, half=None, values=(0.98,))
