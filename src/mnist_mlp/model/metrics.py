"""Metrics by name, computed beside the loss.

To add one: its entry in `METRICS`, and its name, format and direction in `config/schema.py`. `metrics=[acc,f1]` then
reports it on the console, in TensorBoard, result.json and leaderboards; `checkpoint.monitor=val/f1` selects the best
checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from mnist_mlp.config.tables import entry

METRICS: dict[str, Callable[[int], Metric]] = {
    "acc": lambda classes: MulticlassAccuracy(classes, average="micro", validate_args=False),
    "f1": lambda classes: MulticlassF1Score(classes, average="macro", validate_args=False),
}
"""From the number of classes to a metric that takes outputs `(B, classes)` and labels `(B,)`"""


def build_metrics(names: Sequence[str], classes: int, stage: str) -> MetricCollection:
    """Metrics of one stage, named `<stage>/<name>`, as in `val/acc`."""
    metrics: dict[str, Metric | MetricCollection] = {
        name: entry(METRICS, name, "metrics", "METRICS of model/metrics.py")(classes) for name in names
    }
    return MetricCollection(metrics, prefix=f"{stage}/", compute_groups=False)
