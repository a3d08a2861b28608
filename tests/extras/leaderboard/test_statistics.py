"""Intervals and tests, against SciPy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mnist_mlp.extras.leaderboard.statistics import (
    Estimate,
    against_first,
    holm,
    paired_p_values,
    student_t,
    two_sided,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 6, 9, 10, 29, 30, 199, 200])
@pytest.mark.parametrize("probability", [0.6, 0.95, 0.975, 0.9995])
def test_students_t_is_that_of_scipy(degrees: int, probability: float) -> None:
    assert student_t(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-10)


def test_its_two_tails_are_those_of_scipy() -> None:
    t, degrees = np.meshgrid([0.0, 1e-3, -0.7, 2.0, -12.7, 1e4], [1, 2, 3, 4, 9, 200])
    ours = two_sided(t.ravel(), degrees.ravel())
    np.testing.assert_allclose(ours, 2 * stats.t.sf(np.abs(t.ravel()), degrees.ravel()), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("values", [(0.98, 0.981), (0.9, 0.95, 0.91), tuple(np.linspace(0.97, 0.99, 12))])
def test_the_interval_of_a_mean_is_that_of_scipy(values: tuple[float, ...]) -> None:
    estimate = Estimate.of(values)
    expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert estimate.interval == pytest.approx(expected, rel=1e-10)


def test_a_single_value_has_no_interval() -> None:
    assert Estimate.of([0.98]) == Estimate(mean=0.98, half=None, values=(0.98,))


@pytest.fixture
def scores() -> list[dict[int, float]]:
    """Six entries with up to five seeds; the third lacks one, the last has a single one."""
    generator = np.random.default_rng(0)
    table = 0.98 - 0.002 * np.arange(6)[:, None] + generator.normal(scale=1e-3, size=(6, 5))
    entries = [dict(enumerate(row)) for row in table.tolist()]
    del entries[2][1]
    entries[5] = {3: entries[5][3]}
    return entries


def test_entries_are_compared_on_the_seeds_that_both_have_as_scipy_does(scores: list[dict[int, float]]) -> None:
    for first in scores[:5]:
        for p, other in zip(paired_p_values(first, scores), scores, strict=True):
            shared = sorted(first.keys() & other.keys())
            if other is first:
                assert p == 1.0
            elif len(shared) < 2:
                assert np.isnan(p)
            else:
                own, theirs = ([entry[seed] for seed in shared] for entry in (first, other))
                expected = stats.ttest_rel(own, theirs).pvalue if np.mean(own) > np.mean(theirs) else 1.0
                assert p == pytest.approx(expected, rel=1e-9)


def test_the_correction_is_holms() -> None:
    given = np.array([0.01, 0.04, 0.03, 0.005, 0.9, 0.03])
    # By hand: the smallest times 6, the next times 5, ...; never below the one before, never above 1.
    assert holm(given) == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.9, 0.12])
    p_values = np.random.default_rng(1).uniform(size=200) ** 4
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], rtol=1e-12)


def test_p_values_of_a_leaderboard_are_those_of_scipy_corrected_by_statsmodels(
    scores: list[dict[int, float]],
) -> None:
    adjusted = against_first(scores)
    shared = [sorted(scores[0].keys() & other.keys()) for other in scores]
    p_values = [
        stats.ttest_rel([scores[0][seed] for seed in seeds], [other[seed] for seed in seeds]).pvalue
        for other, seeds in zip(scores[1:5], shared[1:5], strict=True)
    ]
    assert adjusted[1:5] == pytest.approx(multipletests(p_values, method="holm")[1], rel=1e-9)
    assert (adjusted[0], adjusted[5]) == (None, None)  # the sixth has one seed, which compares with nobody


@pytest.mark.parametrize("lead", [0.0, 0.5])
def test_the_truly_best_is_ruled_out_as_rarely_as_promised(lead: float) -> None:
    generator, ruled_out, trials = np.random.default_rng(2), 0, 1000
    for _ in range(trials):
        table = generator.normal(size=(10, 4))
        table[0] += lead  # in standard deviations
        order = (-table.mean(axis=1)).argsort()  # the first is the one that came out best
        adjusted = against_first([dict(enumerate(row)) for row in table[order].tolist()])
        p = adjusted[order.tolist().index(0)]
        ruled_out += p is not None and p < 0.05
    assert ruled_out <= 0.05 * trials


def test_a_difference_that_is_the_same_at_every_seed_proves_nothing() -> None:
    """Accuracies are shares of a few thousand images, so two seeds often give the same difference."""
    accuracies = {0: 0.98, 1: 0.981}
    (p,) = paired_p_values(accuracies, [{seed: value - 0.01 for seed, value in accuracies.items()}])
    assert p == 1.0
