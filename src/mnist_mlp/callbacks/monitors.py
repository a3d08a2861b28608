"""Monitored metrics: `mode` has to be the good end of the metric that `monitor` names, or the worst network is kept."""

from __future__ import annotations

from torchmetrics import MetricCollection

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import Config

LOSS = "val/loss"


def refuse_the_worst(config: Config, validation: MetricCollection) -> None:
    """Check the modes of `checkpoint` and of early stopping against the metrics; one that says nothing is let pass.

    Raises:
        ConfigError: a loss is to be large, or a metric whose larger values are better is to be small.
    """
    stopping = config.callbacks.early_stopping
    monitored = {"checkpoint": (config.checkpoint.monitor, config.checkpoint.mode)}
    if stopping.patience is not None:
        monitored["callbacks.early_stopping"] = (stopping.monitor, stopping.mode)
    higher = {name: metric.higher_is_better for name, metric in validation.items()} | {LOSS: False}
    for section, (monitor, mode) in monitored.items():
        better = higher.get(monitor)
        if better is not None and mode != (expected := "max" if better else "min"):
            raise ConfigError(f"{section}.mode: expected {expected} beside {section}.monitor={monitor}, got {mode}")
