"""The temperature is the best one, the threshold keeps its promise on validation, and both are in the checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import untrained_network as untrained
from helpers.data_sets import synthetic
from helpers.kill_and_resume import configuration
from sklearn.metrics import log_loss

from mnist_mlp.config.compose import composed
from mnist_mlp.data.datamodule import split
from mnist_mlp.extras.calibration.calibrate import best_temperature, calibrate, detector_training, fit
from mnist_mlp.extras.calibration.ood_training import QUICK, THOROUGH, USUAL, DetectorTraining, fit_ood_detector
from mnist_mlp.extras.inference.ood_detector import OodDetector
from mnist_mlp.extras.inference.predictions import Predictions, log_softmax
from mnist_mlp.extras.inference.predictor import Calibration, Predictor
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train


def said_by_a_network(sureness: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities `(2000, 10)` that are right when divided by `sureness`, and labels drawn from them then."""
    chance = np.random.default_rng(0)
    scores = 2 * chance.standard_normal((2_000, 10))
    truth = np.exp(log_softmax(scores))
    labels = np.array([chance.choice(10, p=row / row.sum()) for row in truth])
    return log_softmax(sureness * scores), labels


@pytest.mark.parametrize("sureness", [0.4, 1.0, 3.0])
def test_the_temperature_is_that_of_a_grid_search_with_scikit_learn(sureness: float) -> None:
    said, labels = said_by_a_network(sureness)
    grid = np.linspace(0.8 * sureness, 1.25 * sureness, 181)
    losses = [log_loss(labels, np.exp(log_softmax(said / temperature)), labels=range(10)) for temperature in grid]
    found = best_temperature(Predictions(log_probabilities=said, labels=labels))
    assert found == pytest.approx(grid[np.argmin(losses)], abs=grid[1] - grid[0])
    assert log_loss(labels, np.exp(log_softmax(said / found)), labels=range(10)) <= min(losses)


def test_a_network_that_is_always_right_is_not_made_sure_without_end() -> None:
    said = log_softmax(np.eye(10))
    assert best_temperature(Predictions(log_probabilities=said, labels=np.arange(10))) == pytest.approx(0.1)


@pytest.mark.parametrize("risk", [0.01, 0.1, 0.3])
def test_the_threshold_answers_most_within_the_risk(risk: float) -> None:
    said, labels = said_by_a_network(1.0)
    calibration = fit(said, labels, risk)
    softened = np.exp(log_softmax(said / calibration.temperature))
    sure, wrong = softened.max(1), softened.argmax(1) != labels
    errors = {threshold: wrong[sure >= threshold].mean() for threshold in np.unique(sure)}
    assert calibration.threshold == min(threshold for threshold, error in errors.items() if error <= risk)


def test_where_no_answer_is_safe_none_is_given_lightly() -> None:
    said = log_softmax(np.eye(10))
    assert fit(said, (np.arange(10) + 1) % 10, risk=0.0).threshold > 1.0  # above every probability


@pytest.mark.parametrize("loss", ["cross_entropy", "nll", "mse"])
def test_the_free_energy_is_that_of_the_logits_whatever_the_head(tmp_path: Path, loss: str) -> None:
    predictor = untrained.predictor(tmp_path, f"model.loss={loss}")
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (7, 784), np.uint8))
    logits = predictor.network.layers(predictor.network.normalise(images)).detach().double().numpy()
    assert predictor.ood_score(images).numpy() == pytest.approx(-np.log(np.exp(logits).sum(axis=1)), rel=1e-5)


def test_a_run_keeps_the_calibration_of_its_validation_images_in_its_best_checkpoint(tmp_path: Path) -> None:
    train(configuration("trainer.max_epochs=1", "calibration.risk=0.02", "averaging.decay=0.9"), tmp_path)
    predictor = Predictor.load(tmp_path)
    assert predictor.calibration != Calibration()
    dataset = synthetic()
    val = split(dataset.train_labels, predictor.config.data.val_size)[1]
    said = predictor.network.log_probabilities(torch.from_numpy(dataset.train_images[val])).detach().double().numpy()
    expected = fit(said, dataset.train_labels[val], risk=0.02)
    assert predictor.calibration.temperature == pytest.approx(expected.temperature, rel=1e-5)
    assert predictor.calibration.threshold == pytest.approx(expected.threshold, rel=1e-5)
    energies = predictor.ood_score(torch.from_numpy(dataset.train_images[val])).double().numpy()
    limits = np.array([0, predictor.calibration.number_margin]) + predictor.calibration.free_energy
    assert (energies[:, None] <= limits).mean(0) == pytest.approx([USUAL.alone, USUAL.beside_others], abs=2 / len(val))
    assert predictor.calibration.number_threshold == USUAL.sure
    assert "calibration" not in checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)


@pytest.mark.slow
def test_with_a_detector_the_checkpoint_keeps_it_and_its_limit_instead_of_a_free_energy(tmp_path: Path) -> None:
    """It is the one that `detector.fit` makes of the training images, but for a shift of all scores."""
    train(configuration("trainer.max_epochs=2", "calibration.ood_detector=true"), tmp_path)
    predictor = Predictor.load(tmp_path)
    assert predictor.calibration.free_energy is None and predictor.ood_detector is not None
    dataset = synthetic()
    kept, val = split(dataset.train_labels, predictor.config.data.val_size)
    learned = fit_ood_detector(
        predictor.network,
        torch.from_numpy(dataset.train_images[kept].reshape(-1, 784)),
        torch.from_numpy(dataset.train_labels[kept].astype(np.int64)),
        predictor.config.seed,
    )
    images = torch.from_numpy(dataset.train_images[val])
    shifts = predictor.ood_score(images) - replace(predictor, ood_detector=learned).ood_score(images)
    assert float(shifts.max() - shifts.min()) < 1e-3
    assert float((predictor.ood_score(images) <= 0).float().mean()) == pytest.approx(THOROUGH.limits.alone, abs=0.005)
    assert predictor.calibration.number_threshold == THOROUGH.limits.sure
    within = predictor.ood_score(images) <= predictor.calibration.number_margin
    assert float(within.float().mean()) == pytest.approx(THOROUGH.limits.beside_others, abs=0.005)
    assert "ood_detector" not in checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)


def test_calibrating_anew_without_a_detector_leaves_none_in_the_checkpoint(tmp_path: Path) -> None:
    predictor = untrained.predictor(tmp_path)
    path = tmp_path / "network.ckpt"
    checkpoint_file.write(
        checkpoint_file.read(predictor.checkpoint) | {"ood_detector": OodDetector(58).state_dict()}, path
    )
    dataset = synthetic()
    part = torch.from_numpy(dataset.train_images[:50]), torch.from_numpy(dataset.train_labels[:50].astype(np.int64))
    calibrate(path, part, part, predictor.config)
    assert Predictor.load(path).ood_detector is None


def test_a_quick_detector_is_fitted_unasked_where_a_perceptron_alone_learns_peoples_digits(tmp_path: Path) -> None:
    predictor = untrained.predictor(tmp_path)

    def effort(*overrides: str, in_stack: bool = False) -> DetectorTraining | None:
        return detector_training(replace(predictor, config=composed(*overrides)), in_stack=in_stack)

    assert effort("data=mnist") == QUICK
    assert effort("data=mnist", in_stack=True) is effort("data=synthetic") is effort("model=cnn") is None
    assert effort("data=synthetic", "calibration.ood_detector=true", in_stack=True) == THOROUGH
    assert effort("data=mnist", "calibration.ood_detector=false") is None
    shirts = replace(predictor, class_names=["shirt", "bag"], config=composed("data=mnist"))
    assert detector_training(shirts, in_stack=False) is None


def test_digits_of_another_size_get_no_detector(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (120, 3, 8, 8), np.uint8), np.arange(120) % 10
    archive = {f"{part}_images": images for part in ("train", "test")} | {
        f"{part}_labels": labels for part in ("train", "test")
    }
    np.savez(tmp_path / "digits.npz", **archive)
    own_data = ("data=npz", f"data.path={tmp_path / 'digits.npz'}", "data.val_size=20", "trainer.max_epochs=1")
    for number, asked in enumerate((None, True)):
        run = tmp_path / str(number)
        train(configuration(*own_data, f"calibration.ood_detector={'null' if asked is None else 'true'}"), run)
        assert Predictor.load(run).calibration.free_energy is not None
        assert ("needs grey images of 28 x 28, these are (3, 8, 8)" in caplog.text) is bool(asked)
