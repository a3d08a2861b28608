"""What validation says about how sure a network may be: its temperature, and when it had better not answer."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from mnist_mlp import checkpoint as files
from mnist_mlp.evaluation.metrics import Predictions, coverage_at_risk
from mnist_mlp.predictor import Calibration, Predictor

# A network that has every validation image right would be made ever surer.
LOWEST, HIGHEST = 0.1, 10.0


# Of the validation images as many are answered; where the threshold alone leaves fewer, few more are refused.
ANSWERED = 0.955
KNOWN = 0.98


def calibrate(checkpoint: Path, images: Tensor, labels: Tensor, risk: float) -> Calibration:
    """Fit on validation images `(N, 784)` uint8 and labels `(N,)`, and keep the outcome in the checkpoint file."""
    predictor = replace(Predictor.load(checkpoint), calibration=Calibration())
    log_probabilities = predictor.log_probabilities(images.cpu()).double().numpy()
    calibration = fit(log_probabilities, labels.cpu().numpy(), risk)
    said = Predictions(log_probabilities=log_probabilities, labels=labels.cpu().numpy())
    sure = said.at_temperature(calibration.temperature).probabilities.max(axis=1) >= calibration.threshold
    limit = free_energy_limit(predictor.free_energies(images.cpu()).double().numpy(), sure)
    calibration = replace(calibration, free_energy=limit)
    files.write({**files.read(checkpoint), "calibration": asdict(calibration)}, checkpoint)
    return calibration


def free_energy_limit(energies: np.ndarray, sure: np.ndarray) -> float:
    """The free energy above which an image counts as something that the network never saw.

    What is to be refused, letters or shirts, is not there to fit on, so this is a quantile of what is to be answered.

    Args:
        energies: `(N,)`, `Predictor.free_energies` of validation images.
        sure: `(N,)` bool, which of them reach the threshold.
    """
    answered = energies[sure] if sure.any() else energies
    return float(np.quantile(answered, min(KNOWN, ANSWERED * len(energies) / len(answered))))


def fit(log_probabilities: np.ndarray, labels: np.ndarray, risk: float) -> Calibration:
    """The temperature, and the threshold that answers most with at most `risk` of the answers wrong.

    Args:
        log_probabilities: `(N, C)`, as the network gives them.
        labels: `(N,)`.
    """
    said = Predictions(log_probabilities=log_probabilities, labels=labels)
    temperature = best_temperature(said)
    point = coverage_at_risk(said.at_temperature(temperature), risk)
    return Calibration(temperature=temperature, threshold=min(point.threshold, 1.0))


def best_temperature(said: Predictions) -> float:
    """The temperature with the least mean negative log-likelihood (Guo et al. 2017, sec. 4.2), in [0.1, 10].

    That mean is convex in 1 / temperature, so its slope changes sign once: halve the interval around that place.
    """
    low, high = 1 / HIGHEST, 1 / LOWEST
    rows = np.arange(len(said.labels))
    while high - low > 1e-9:
        middle = (low + high) / 2
        softened = said.at_temperature(1 / middle)
        expected = (softened.probabilities * said.log_probabilities).sum(axis=1)
        slope = (expected - said.log_probabilities[rows, said.labels]).mean()
        low, high = (middle, high) if slope < 0 else (low, middle)
    return 2 / (low + high)
