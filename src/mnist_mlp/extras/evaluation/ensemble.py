"""Predictions of several networks: of each as it is and calibrated, and of their ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from mnist_mlp.extras.calibration.calibrate import fit
from mnist_mlp.extras.evaluation import metrics
from mnist_mlp.extras.inference.predictions import Predictions, log_softmax
from mnist_mlp.extras.inference.predictor import Calibration, Predictor

COMMITTEE = "committee"
"""the name of the ensemble, beside `network 1` and so on"""


def side_by_side(names: Sequence[str], most: int) -> list[int]:
    """Indices of the networks that a table or plot with room for `most` shows: the first ones, and a committee."""
    if len(names) <= most:
        return list(range(len(names)))
    return [*range(most - 1), len(names) - 1] if names[-1] == COMMITTEE else list(range(most))


def left_out(names: Sequence[str], most: int) -> str:
    """How many networks `side_by_side` leaves out, and where they are; empty for none."""
    others = len(names) - len(side_by_side(names, most))
    return f"{others} more network{'s' if others > 1 else ''}: metrics.json" if others else ""


@dataclass(frozen=True, kw_only=True)
class NetworkPredictions:
    """Predictions of one network, or of a committee of them."""

    name: str
    raw: Predictions
    calibration: Calibration

    @cached_property
    def calibrated(self) -> Predictions:
        return self.raw.at_temperature(self.calibration.temperature)


def predict_all(
    predictors: Sequence[Predictor], images: Tensor, labels: Tensor, *, committee_calibration: Calibration | None = None
) -> list[NetworkPredictions]:
    """The predictions of each network and, if `committee_calibration` is given, those of the committee.

    The probabilities of a committee are the mean of its members' calibrated ones.
    """
    predictions = []
    for number, predictor in enumerate(predictors, start=1):
        logits = predictor.logits(images).double().numpy()
        raw = Predictions(log_probabilities=log_softmax(logits), labels=labels.numpy())
        name = f"network {number}" if len(predictors) > 1 else "network"
        predictions.append(NetworkPredictions(name=name, raw=raw, calibration=predictor.calibration))
    if committee_calibration is not None:
        together = metrics.committee([network.calibrated for network in predictions])
        predictions.append(NetworkPredictions(name=COMMITTEE, raw=together, calibration=committee_calibration))
    return predictions


def fit_committee(predictors: Sequence[Predictor], images: Tensor, labels: Tensor) -> Calibration:
    """Fitted on validation images `(N, C, H, W)` uint8 and labels `(N,)`, for the risk that the first member allows."""
    together = predict_all(predictors, images, labels, committee_calibration=Calibration())[-1].raw
    return fit(together.log_probabilities, together.labels, predictors[0].config.calibration.risk)
