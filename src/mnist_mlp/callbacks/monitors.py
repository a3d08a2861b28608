"""Checks of `monitor` and `mode`: the metric must exist, and `mode` must be the direction in which it improves."""

from __future__ import annotations

from collections.abc import Collection

from torchmetrics import MetricCollection

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import Config

LOSS = "val/loss"


def require_measured(section: str, monitor: str, names: Collection[str]) -> None:
    """Check that the metric `monitor` is among `names`, those that have been measured.

    Raises:
        ConfigError: it is not.
    """
    if monitor not in names:
        known = ", ".join(name for name in names if name.startswith("val/"))
        raise ConfigError(f"{section}.monitor: expected one of {known}, got {monitor!r}; metrics=[acc,f1] adds metrics")


def require_right_modes(config: Config, validation: MetricCollection) -> None:
    """Check `mode` of `checkpoint` and of early stopping against the direction in which their metric improves.

    A metric whose `higher_is_better` is None is not checked.

    Raises:
        ConfigError: mode=max for a metric that improves downwards, or mode=min for one that improves upwards.
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
