"""Every metric equals an independent one on the same predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn import metrics as reference
from torchmetrics.functional.classification import multiclass_calibration_error

from mnist_mlp.extras.evaluation.metrics import (
    brier,
    committee,
    confusion,
    mcnemar,
    nll,
    per_class,
    reliability,
    wilson,
)
from mnist_mlp.extras.inference.predictions import (
    Predictions,
    at_threshold,
    coverage_at_risk,
    log_softmax,
    risk_coverage,
)

DIGITS = tuple("0123456789")


def predictions(seed: int = 0, images: int = 3_000, sharpness: float = 3.0) -> Predictions:
    """A network that is right about three times out of four, and never guesses 7."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(10, size=images)
    scores = generator.normal(size=(images, 10)) + 3 * np.eye(10)[labels]
    scores[:, 7] -= 100
    return Predictions(log_probabilities=log_softmax(sharpness * scores), labels=labels)


@pytest.fixture(scope="module")
def said() -> Predictions:
    return predictions()


def test_accuracy_equals_scikit_learn(said: Predictions) -> None:
    assert 0.6 < said.accuracy < 0.9
    assert said.accuracy == pytest.approx(reference.accuracy_score(said.labels, said.guesses), abs=1e-12)


def test_nll_equals_scikit_learn(said: Predictions) -> None:
    expected = reference.log_loss(said.labels, said.probabilities, labels=range(10))
    # Scikit-learn clips probabilities at the machine's epsilon, so the column that is never guessed cannot be compared.
    seen = said.labels != 7
    rest = Predictions(log_probabilities=said.log_probabilities[seen], labels=said.labels[seen])
    assert nll(rest) == pytest.approx(reference.log_loss(rest.labels, rest.probabilities, labels=range(10)), abs=1e-12)
    assert nll(said) > expected


def test_brier_equals_scikit_learn(said: Predictions) -> None:
    expected = reference.brier_score_loss(said.labels, said.probabilities, labels=range(10), scale_by_half=False)
    assert brier(said) == pytest.approx(expected, abs=1e-12)


def test_confusion_equals_scikit_learn(said: Predictions) -> None:
    np.testing.assert_array_equal(confusion(said), reference.confusion_matrix(said.labels, said.guesses))


def test_per_class_equals_scikit_learn_and_a_class_never_guessed_has_precision_zero(said: Predictions) -> None:
    ours = per_class(confusion(said), DIGITS)
    expected = reference.precision_recall_fscore_support(said.labels, said.guesses, zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "images"), expected, strict=True):
        np.testing.assert_allclose([ours[digit][name] for digit in DIGITS], values, rtol=0, atol=1e-12)
    assert ours["7"]["precision"] == 0


@pytest.mark.parametrize("bins", [10, 15])
def test_ece_equals_torchmetrics(said: Predictions, bins: int) -> None:
    # Torchmetrics gives a confidence of exactly 1 a bin of its own; ours belongs to the last one.
    below_one = said.at_temperature(3.0)
    assert below_one.confidences.max() < 1
    expected = multiclass_calibration_error(
        torch.from_numpy(below_one.probabilities), torch.from_numpy(below_one.labels), num_classes=10, n_bins=bins
    )
    assert reliability(below_one, bins).ece == pytest.approx(float(expected), abs=1e-6)  # torchmetrics works in float32


def test_reliability_equals_a_plain_loop(said: Predictions) -> None:
    drawn = reliability(said)
    gaps = 0.0
    for index in range(15):
        inside = [
            image
            for image, confidence in enumerate(said.confidences)
            if drawn.edges[index] <= confidence and (confidence < drawn.edges[index + 1] or index == 14)
        ]
        assert drawn.counts[index] == len(inside)
        if inside:
            assert drawn.accuracy[index] == pytest.approx(said.correct[inside].mean())
            assert drawn.confidence[index] == pytest.approx(said.confidences[inside].mean())
            gaps += abs(said.correct[inside].mean() - said.confidences[inside].mean()) * len(inside) / len(said.labels)
    assert reliability(said).ece == pytest.approx(gaps, abs=1e-12)
    assert drawn.counts.sum() == len(said.labels)


def test_a_confidence_on_an_edge_belongs_to_the_bin_above_it_and_1_to_the_last() -> None:
    said = Predictions(log_probabilities=np.log(np.array([[0.5, 0.5], [1.0, 1e-300]])), labels=np.array([0, 0]))
    assert list(reliability(said, bins=2).counts) == [0, 2]


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (9_840, 10_000), (1, 3)])
def test_wilson_interval_equals_scipy(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_coverage_at_risk_equals_the_best_of_all_thresholds(said: Predictions) -> None:
    for risk in (0.0, 0.001, 0.01, 0.05, 1.0):
        tried = [at_threshold(said, threshold) for threshold in said.confidences]
        expected = max((point.coverage for point in tried if point.error <= risk), default=0.0)
        found = coverage_at_risk(said, risk)
        assert found.coverage == pytest.approx(expected, abs=1e-12)
        assert found.error <= risk
        assert at_threshold(said, found.threshold) == found


def test_images_of_equal_confidence_are_answered_together() -> None:
    even = Predictions(log_probabilities=np.log(np.array([[0.8, 0.2]] * 4)), labels=np.array([0, 0, 0, 1]))
    thresholds, coverage, error = risk_coverage(even)
    assert (len(thresholds), list(coverage), list(error)) == (1, [1.0], [0.25])
    assert coverage_at_risk(even, 0.1).coverage == 0


def test_a_confident_mistake_allows_no_answer_without_risk() -> None:
    wrong_first = Predictions(log_probabilities=np.log(np.array([[0.99, 0.01], [0.6, 0.4]])), labels=np.array([1, 0]))
    assert coverage_at_risk(wrong_first, 0.0).coverage == 0


def test_mcnemar_equals_the_sign_test(said: Predictions) -> None:
    other = predictions(seed=1)
    other = Predictions(log_probabilities=other.log_probabilities, labels=said.labels)
    test = mcnemar(said, other)
    assert test.only_first == sum(a and not b for a, b in zip(said.correct, other.correct, strict=True))
    expected = binomtest(test.only_first, test.only_first + test.only_second).pvalue
    assert test.p_value == pytest.approx(expected, rel=1e-9)
    near = mcnemar(said, Predictions(log_probabilities=np.roll(said.log_probabilities, 30, 0), labels=said.labels))
    assert near.p_value < 1e-9


def test_a_network_does_not_differ_from_itself(said: Predictions) -> None:
    test = mcnemar(said, said)
    assert (test.only_first, test.only_second, test.p_value) == (0, 0, 1.0)


def test_mcnemar_is_exact_however_many_images_differ() -> None:
    labels = np.zeros(4_000, int)
    first, second = np.zeros((4_000, 2)), np.zeros((4_000, 2))
    first[:1_900, 1], second[1_900:, 1] = 1, 1
    test = mcnemar(*(Predictions(log_probabilities=log_softmax(scores), labels=labels) for scores in (first, second)))
    assert test.p_value == pytest.approx(binomtest(1_900, 4_000).pvalue, rel=1e-9)


def test_temperature_changes_confidence_but_no_guess(said: Predictions) -> None:
    softer = said.at_temperature(2.0)
    np.testing.assert_array_equal(softer.guesses, said.guesses)
    assert softer.confidences.mean() < said.confidences.mean()
    np.testing.assert_allclose(softer.probabilities.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(softer.at_temperature(0.5).log_probabilities, said.log_probabilities, atol=1e-9)


def test_committee_averages_probabilities(said: Predictions) -> None:
    other = Predictions(log_probabilities=np.roll(said.log_probabilities, 1, axis=1), labels=said.labels)
    together = committee([said, other])
    np.testing.assert_allclose(together.probabilities, (said.probabilities + other.probabilities) / 2, atol=1e-12)
    np.testing.assert_allclose(committee([said]).log_probabilities, said.log_probabilities, atol=1e-12)


def test_nll_stays_finite_where_a_probability_vanishes_and_is_0_where_it_is_1() -> None:
    sure = Predictions(log_probabilities=log_softmax(np.array([[0.0, 3_000.0]])), labels=np.array([0]))
    assert nll(sure) == 3_000
    assert math.isfinite(nll(committee([sure, sure])))
    assert str(nll(Predictions(log_probabilities=sure.log_probabilities, labels=np.array([1])))) == "0.0"
