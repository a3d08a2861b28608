"""The pictures of an evaluation as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_mlp.extras.evaluation import plots
from mnist_mlp.extras.evaluation.confusion_picture import confusion_picture
from mnist_mlp.extras.evaluation.ensemble import NetworkPredictions
from mnist_mlp.extras.evaluation.metrics import confusion
from mnist_mlp.extras.evaluation.mistakes_picture import Images, worst_mistakes_picture

MISTAKES = 16
SCALE = 3  # enlargement of the two pictures that TensorBoard shows as well


def draw(folder: Path, network: NetworkPredictions, images: Images, class_names: Sequence[str]) -> None:
    """Confusion matrix, worst mistakes, reliability and risk-coverage of one network into `folder`."""
    folder.mkdir(exist_ok=True)
    predicted = network.calibrated
    confusion_picture(confusion(predicted), class_names, scale=SCALE).save(folder / "confusion.png")
    if (mistakes := worst_mistakes_picture(images, predicted, class_names, MISTAKES, scale=SCALE)) is not None:
        mistakes.save(folder / "mistakes.png")
    raw = network.raw if network.calibration.temperature != 1 else None
    plots.reliability_diagram(predicted, raw).savefig(folder / "reliability.png", dpi=plots.DPI)
    curve = plots.risk_coverage_curve(predicted, network.calibration.threshold or None)
    curve.savefig(folder / "risk_coverage.png", dpi=plots.DPI)


def draw_robustness(folder: Path, examples: Sequence[Images], rows: Sequence[dict[str, Any]]) -> None:
    """A few images `(K, C, H, W)` of each row beside the accuracies."""
    plots.robustness(examples, rows).savefig(folder / "robust.png", dpi=plots.DPI)
