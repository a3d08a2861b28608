"""The metrics by name: what is counted of the network's answers beside the loss.

To add one: its entry in `METRICS`. `metrics=[acc,f1]` then shows it in the progress line, TensorBoard, result.json and
leaderboards, and `checkpoint.monitor=val/f1` makes it decide which checkpoint is the best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

METRICS: dict[str, Callable[[int], Metric]] = {
    "acc": lambda classes: MulticlassAccuracy(classes, average="micro", validate_args=False),
    "f1": lambda classes: MulticlassF1Score(classes, average="macro", validate_args=False),
}
"""From the number of classes to a metric that takes outputs `(B, classes)` and labels `(B,)`."""


def build_metrics(names: Sequence[str], classes: int, stage: str) -> MetricCollection:
    """The metrics of one stage, under names such as `val/acc`."""
    metrics: dict[str, Metric | MetricCollection] = {name: METRICS[name](classes) for name in names}
    return MetricCollection(metrics, prefix=f"{stage}/", compute_groups=False)
