"""What networks say about images: of each as it is, calibrated, and of all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from mnist_mlp.evaluation import metrics
from mnist_mlp.evaluation.metrics import Predictions
from mnist_mlp.predictor import Calibration, Predictor


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one network, or a committee of them, said about the images."""

    name: str
    raw: Predictions
    calibration: Calibration

    @cached_property
    def calibrated(self) -> Predictions:
        return self.raw.at_temperature(self.calibration.temperature)


def ask(predictors: Sequence[Predictor], images: Tensor, labels: Tensor, *, committee: bool) -> list[Answers]:
    """The answers of each network, and with `committee` of all together, whose probabilities are the mean of theirs."""
    answers = []
    for number, predictor in enumerate(predictors, start=1):
        uncalibrated = replace(predictor, calibration=Calibration())
        scores = uncalibrated.log_probabilities(images).double().numpy()
        raw = Predictions(log_probabilities=metrics.log_softmax(scores), labels=labels.numpy())
        name = f"network {number}" if len(predictors) > 1 else "network"
        answers.append(Answers(name=name, raw=raw, calibration=predictor.calibration))
    if committee:
        together = metrics.committee([answer.calibrated for answer in answers])
        answers.append(Answers(name="committee", raw=together, calibration=Calibration()))
    return answers
