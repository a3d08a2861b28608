"""From checkpoints to numbers, tables and pictures: `evaluate` reads from top to bottom."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnist_mlp.config.commands import EvaluateConfig
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.mnist import MNIST
from mnist_mlp.data.split import split
from mnist_mlp.extras.evaluation import metrics, pictures
from mnist_mlp.extras.evaluation.corruptions import CORRUPTIONS, other_people
from mnist_mlp.extras.evaluation.ensemble import NetworkPredictions, fit_committee, predict_all
from mnist_mlp.extras.evaluation.mistakes_picture import as_seen
from mnist_mlp.extras.evaluation.page import write_page
from mnist_mlp.extras.evaluation.tables import tables
from mnist_mlp.extras.inference.predictions import Predictions, at_threshold, coverage_at_risk
from mnist_mlp.extras.inference.predictor import Calibration, Predictor
from mnist_mlp.runs.chosen_checkpoint import chosen

log = logging.getLogger(__name__)

METRICS = "metrics.json"
EXAMPLES = 6
RISKS = (0.001, 0.005, 0.01)
"""Shares of wrong answers for which the share of answered images is computed."""
READABLE = 30
"""With more classes, metrics.json is not indented: a thousand classes would make a million lines."""


def evaluate(config: EvaluateConfig, directory: Path, *, colour: bool = False) -> str:
    """Evaluate the chosen networks; leaves its files in `directory` and returns the tables.

    Raises:
        CheckpointError: a checkpoint is missing, damaged, or holds more than tensors and plain values.
        DataError: the data set cannot be had.
    """
    predictors = [Predictor.load(path) for path in chosen(config.checkpoint)]
    class_names = predictors[0].class_names
    data = predictors[0].config.data
    dataset = predictors[0].data_set(config.data_dir)
    images, labels = _part(dataset, config.split, data.val_size)
    committee = fit_committee(predictors, *_part(dataset, "val", data.val_size)) if config.committee else None
    predictions = predict_all(predictors, images, labels, committee_calibration=committee)

    numbers = [measured(network, class_names) for network in predictions]
    content: dict[str, Any] = {
        "data": data.name,
        "split": config.split,
        "images": len(labels),
        "class_names": list(class_names),
        "checkpoints": [str(predictor.checkpoint) for predictor in predictors],
    }
    content |= numbers[0] if len(predictions) == 1 else {"networks": numbers}
    if len(predictors) == 2:
        content["mcnemar"] = asdict(metrics.mcnemar(predictions[0].calibrated, predictions[1].calibrated))
    if config.suite == "robust":
        content["robust"], examples = _robustness(predictors, images, labels, committee)
        pictures.draw_robustness(directory, [as_seen(some, data) for some in examples], content["robust"])
    indent = 2 if len(class_names) <= READABLE else None
    (directory / METRICS).write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n")
    folders = [
        directory if len(predictions) == 1 else directory / network.name.replace(" ", "_") for network in predictions
    ]
    shown = as_seen(images.numpy(), data)
    for network, folder in zip(predictions, folders, strict=True):
        pictures.draw(folder, network, shown, class_names)
    write_page(directory, content, predictions, folders, shown)
    return tables(content, newest=config.checkpoint is None, directory=directory, colour=colour)


def _part(dataset: Dataset, name: str, val_size: int) -> tuple[Tensor, Tensor]:
    """Images `(N, C, H, W)` uint8 and labels `(N,)` int64 of `test` or `val`: none that a network was trained on."""
    if name == "test":
        images, labels = dataset.test_images, dataset.test_labels
    else:
        _, val = split(dataset.train_labels, val_size)
        images, labels = dataset.train_images[val], dataset.train_labels[val]
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def measured(network: NetworkPredictions, class_names: Sequence[str]) -> dict[str, Any]:
    """Every number about one network.

    `coverage_at_risk` takes the best thresholds for these very images; `answered` takes the checkpoint's own, which
    was chosen on validation.
    """
    predicted, threshold = network.calibrated, network.calibration.threshold
    mistakes = int(np.count_nonzero(~predicted.correct))
    matrix = metrics.confusion(predicted)
    per_class = metrics.per_class(matrix, class_names)
    return {
        "name": network.name,
        "accuracy": predicted.accuracy,
        "accuracy_ci95": list(metrics.wilson(len(predicted.labels) - mistakes, len(predicted.labels))),
        "mistakes": mistakes,
        **_losses(predicted),
        "uncalibrated": _losses(network.raw),
        "calibration": asdict(network.calibration),
        "answered": asdict(at_threshold(predicted, threshold)),
        "coverage_at_risk": {str(risk): coverage_at_risk(predicted, risk).coverage for risk in RISKS},
        "per_class": per_class,
        "macro": {
            score: float(np.mean([scores[score] for scores in per_class.values()]))
            for score in ("precision", "recall", "f1")
        },
        "confusion": matrix.tolist(),
    }


def _losses(predicted: Predictions) -> dict[str, float]:
    return {"nll": metrics.nll(predicted), "brier": metrics.brier(predicted), "ece": metrics.reliability(predicted).ece}


def _robustness(
    predictors: Sequence[Predictor], images: Tensor, labels: Tensor, committee: Calibration | None
) -> tuple[list[dict[str, Any]], list[NDArray[np.uint8]]]:
    """The numbers of each network on the images as they are and under each corruption, with a few of those images.

    Returns:
        A row for each kind of images, and `(K, C, H, W)` for each row.
    """
    rows, examples = [], []

    def take(name: str, images: Tensor, labels: Tensor, **more: int) -> None:
        predictions = predict_all(predictors, images, labels, committee_calibration=committee)
        numbers = [_in_brief(network) for network in predictions]
        rows.append({"name": name, "images": len(labels), "networks": numbers, **more})
        examples.append(images[:EXAMPLES].numpy())

    take("as they are", images, labels)
    for corruption in CORRUPTIONS:
        take(corruption.name, corruption(images), labels)
    if tuple(predictors[0].class_names) == MNIST.class_names and tuple(images.shape[1:]) == (1, 28, 28):
        if find_spec("sklearn") is None:
            log.warning("other people's digits are left out: they come with scikit-learn, which is not installed")
        else:
            digits, digit_labels, missed = other_people()
            take("other people's digits", digits, digit_labels, without_digit=missed)
    return rows, examples


def _in_brief(network: NetworkPredictions) -> dict[str, Any]:
    predicted = network.calibrated
    point = at_threshold(predicted, network.calibration.threshold)
    return {
        "name": network.name,
        "accuracy": predicted.accuracy,
        "nll": metrics.nll(predicted),
        "answered": point.coverage,
        "answered_error": point.error,
    }
