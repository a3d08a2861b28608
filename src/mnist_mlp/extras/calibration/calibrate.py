"""Calibration on the validation images: the temperature, the threshold of an answer, the limit of what is a class."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from mnist_mlp.config.schema import Config
from mnist_mlp.extras.calibration.ood_training import fit_ood_detector
from mnist_mlp.extras.inference.predictions import Predictions, coverage_at_risk
from mnist_mlp.extras.inference.predictor import Calibration, Predictor, free_energy
from mnist_mlp.runs import checkpoint_file as files

# A network that has every validation image right would be made ever surer.
LOWEST, HIGHEST = 0.1, 10.0

# Of people's pictures few answers are to be wrong. They are harder than the validation images: on pictures that the
# project makes itself, the same threshold leaves about 1 % of the answers wrong.
NUMBER_RISK = 0.004
# Of the validation images as many are answered; where the threshold alone leaves fewer, few more are refused.
ANSWERED = 0.958
IN_DISTRIBUTION = 0.99

Part = tuple[Tensor, Tensor]


def calibrate(checkpoint: Path, val: Part, train: Part, config: Config) -> Calibration:
    """Fit on validation images, and keep the outcome in the checkpoint file.

    Args:
        val: images `(N, 784)` uint8 and labels `(N,)`.
        train: the same, for a detector to learn from.
    """
    content = files.read(checkpoint)
    predictor = replace(Predictor.of(content, checkpoint, config), calibration=Calibration(), ood_detector=None)
    images, labels = val[0].cpu(), val[1].cpu().numpy()
    logits = predictor.logits(images)
    log_probabilities = logits.log_softmax(dim=1).double().numpy()
    calibration = fit(log_probabilities, labels, config.calibration.risk)
    said = Predictions(log_probabilities=log_probabilities, labels=labels).at_temperature(calibration.temperature)
    number_threshold = min(coverage_at_risk(said, NUMBER_RISK).threshold, 1.0)
    detector = None
    if config.calibration.ood_detector:
        detector = fit_ood_detector(predictor.network, train[0].flatten(1).cpu(), train[1].cpu(), config.seed)
        scores = replace(predictor, ood_detector=detector).ood_score(images).double().numpy()
    else:
        scores = free_energy(logits).double().numpy()
    limit = highest_in_distribution(scores, said.confidences >= number_threshold)
    margin = max(float(np.quantile(scores, IN_DISTRIBUTION)) - limit, 0.0)
    calibration = replace(calibration, number_threshold=number_threshold, number_margin=margin)
    if detector is None:
        calibration = replace(calibration, free_energy=limit)
    else:
        detector.lower(by=limit)
        content["ood_detector"] = detector.state_dict()
    files.write({**content, "calibration": asdict(calibration)}, checkpoint)
    return calibration


def highest_in_distribution(scores: np.ndarray, sure: np.ndarray) -> float:
    """The limit of the out-of-distribution score: an image above it counts as of none of the classes.

    What is to be refused, letters or shirts, is not there to fit on, so this is a quantile of what is to be answered.

    Args:
        scores: `(N,)`, of validation images.
        sure: `(N,)` bool, which of them reach the threshold.
    """
    answered = scores[sure] if sure.any() else scores
    return float(np.quantile(answered, min(IN_DISTRIBUTION, ANSWERED * len(scores) / len(answered))))


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
    scores = said.log_probabilities - said.log_probabilities.max(axis=1, keepdims=True)
    of_truth = np.take_along_axis(scores, said.labels[:, None], axis=1).mean()
    while high - low > 1e-9:
        middle = (low + high) / 2
        weights = np.exp(middle * scores)
        slope = ((weights * scores).sum(axis=1) / weights.sum(axis=1)).mean() - of_truth
        low, high = (middle, high) if slope < 0 else (low, middle)
    return 2 / (low + high)
