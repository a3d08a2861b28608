"""Calibration on the validation images: temperature, confidence threshold, and limit of the OOD score."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from mnist_mlp.config.schema import Config, MLPConfig
from mnist_mlp.data.loader import Part
from mnist_mlp.data.mnist import MNIST
from mnist_mlp.extras.calibration.ood_training import QUICK, THOROUGH, USUAL, DetectorTraining, fit_ood_detector
from mnist_mlp.extras.handwriting.mnist_format import IMAGE_SHAPE
from mnist_mlp.extras.inference.predictions import Predictions, coverage_at_risk
from mnist_mlp.extras.inference.predictor import Calibration, Predictor, free_energy
from mnist_mlp.runs import checkpoint_file

log = logging.getLogger(__name__)

# Limits of the temperature: for a network that has every validation image right the best one would be 0.
LOWEST, HIGHEST = 0.1, 10.0
ABOVE_ALL = math.nextafter(1.0, 2.0)
"""threshold with which a network answers nothing: finite, as JSON wants it, and above every probability"""


def calibrate(checkpoint: Path, val: Part, train: Part, config: Config, *, in_stack: bool = False) -> Calibration:
    """Fit on validation images, and keep the outcome in the checkpoint file.

    Args:
        val: images `(N, C, H, W)` uint8 and labels `(N,)`.
        train: the same, for a detector to learn from.
        in_stack: trained together with others, in a stacked sweep; then no detector is fitted unless
            `calibration.ood_detector=true`.
    """
    content = checkpoint_file.read(checkpoint)
    predictor = replace(Predictor.of(content, checkpoint, config), calibration=Calibration(), ood_detector=None)
    images, labels = val[0].cpu(), val[1].cpu().numpy()
    logits = predictor.logits(images)
    calibration = fit(logits.log_softmax(dim=1).double().numpy(), labels, config.calibration.risk)
    detector = None
    training = detector_training(predictor, in_stack=in_stack)
    if training is not None:
        detector = fit_ood_detector(predictor.network, train[0].flatten(1).cpu(), train[1].cpu(), config.seed, training)
        scores = replace(predictor, ood_detector=detector).ood_score(images).double().numpy()
    else:
        scores = free_energy(logits).double().numpy()
    limits = training.limits if training else USUAL
    alone, beside_others = np.quantile(scores, (limits.alone, limits.beside_others)).tolist()
    calibration = replace(calibration, number_threshold=limits.sure, number_margin=beside_others - alone)
    # The limit for a digit alone: kept in `Calibration.free_energy`; or subtracted from the scores of a detector, whose
    # limit is 0.
    if detector is None:
        calibration = replace(calibration, free_energy=alone)
    else:
        detector.lower(by=alone)
    state = None if detector is None else detector.state_dict()
    checkpoint_file.write({**content, "calibration": asdict(calibration), "ood_detector": state}, checkpoint)
    return calibration


def detector_training(predictor: Predictor, *, in_stack: bool) -> DetectorTraining | None:
    """Training settings of the OOD detector; None: no detector, the free energy is the OOD score.

    If the configuration does not decide, only MLPs trained on digits get a detector, with which predict.py usually
    reads. Those trained on synthetic digits, which teach nothing about handwriting, and those of a stacked sweep get
    none.
    """
    config, image_shape = predictor.config, predictor.network.image_shape
    if image_shape != IMAGE_SHAPE:  # the only one that the detector supports; synthetic outliers have it
        if config.calibration.ood_detector:
            log.warning(
                "calibration.ood_detector=true: no detector, it needs grey images of 28 x 28, these are %s (C, H, W); "
                "the OOD score is the free energy",
                image_shape,
            )
        return None
    if config.calibration.ood_detector is not None:
        return THOROUGH if config.calibration.ood_detector else None
    reads_digits = tuple(predictor.class_names) == MNIST.class_names and isinstance(config.model, MLPConfig)
    return QUICK if reads_digits and config.data.name != "synthetic" and not in_stack else None


def fit(log_probabilities: np.ndarray, labels: np.ndarray, risk: float) -> Calibration:
    """Temperature, and the smallest confidence threshold at which at most `risk` of the accepted predictions are wrong.

    Args:
        log_probabilities: `(N, C)`, as the network gives them.
        labels: `(N,)`.
    """
    predictions = Predictions(log_probabilities=log_probabilities, labels=labels)
    temperature = best_temperature(predictions)
    point = coverage_at_risk(predictions.at_temperature(temperature), risk)
    return Calibration(temperature=temperature, threshold=min(point.threshold, ABOVE_ALL))


def best_temperature(predictions: Predictions) -> float:
    """The temperature with the least mean negative log-likelihood (Guo et al. 2017, sec. 4.2), in [0.1, 10].

    That mean is convex in 1 / temperature, so its slope changes sign once: halve the interval around that place.
    """
    low, high = 1 / HIGHEST, 1 / LOWEST
    scores = predictions.log_probabilities - predictions.log_probabilities.max(axis=1, keepdims=True)
    of_truth = np.take_along_axis(scores, predictions.labels[:, None], axis=1).mean()
    while high - low > 1e-9:
        middle = (low + high) / 2
        weights = np.exp(middle * scores)
        slope = ((weights * scores).sum(axis=1) / weights.sum(axis=1)).mean() - of_truth
        low, high = (middle, high) if slope < 0 else (low, middle)
    return 2 / (low + high)
