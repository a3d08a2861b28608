"""Metrics as text: a loss with four decimals, others as `METRIC_KINDS` in config/schema.py declares."""

from __future__ import annotations

from mnist_mlp.config.schema import METRIC_KINDS


def metric_format(metric: str) -> str:
    """Format of the values of `val/acc` and the like."""
    return METRIC_KINDS.get(metric.rpartition("/")[2], (".4f",))[0]


def is_share(metric: str) -> bool:
    """Whether the metric is a share in [0, 1], which is written in percent."""
    return metric_format(metric).endswith("%")


def metric_text(metric: str, value: float) -> str:
    return f"{value:{metric_format(metric)}}"
