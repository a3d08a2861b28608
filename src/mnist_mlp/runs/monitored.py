"""Monitored metric: which one decides what is best, in a run and among several, and whether its largest or
smallest value is the best."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.messages import one_of
from mnist_mlp.runs.directories import Run

ACCURACY, LOSS = "val/acc", "val/loss"


def monitored(config: Mapping[str, Any]) -> tuple[str, str]:
    """`checkpoint.monitor` and `checkpoint.mode` in the configuration of a run; accuracy in one of an older version."""
    section = config.get("checkpoint") or {}
    return str(section.get("monitor", ACCURACY)), str(section.get("mode", "max"))


def require_measured(section: str, monitor: str, names: Collection[str]) -> None:
    """Check after a validation that the metric `monitor` is among `names`, those that have been measured.

    Raises:
        ConfigError: it is not.
    """
    if monitor not in names:
        if not (known := [name for name in names if name.startswith("val/")]):
            raise ConfigError(f"{section}.monitor: expected that the module logs {monitor}, it logs nothing as val/...")
        advice = "metrics=[acc,f1] adds metrics"
        if any("/dataloader_idx_" in name for name in known):
            advice = "with several loaders Lightning changes the names, unless self.log gets add_dataloader_idx=False"
        raise ConfigError(f"{section}.monitor: expected {one_of(known)}, got {monitor!r}; {advice}")


def monitored_by_all(runs: Sequence[Run]) -> tuple[str, str]:
    """Metric and mode that decided in every run which epoch was the best; accuracy where runs differ."""
    chosen = {monitored(run.result.get("config") or {}) for run in runs}
    (metric, mode), *others = chosen or {(ACCURACY, "max")}
    if others or any((run.result.get("metrics") or {}).get(metric) is None for run in runs):
        return ACCURACY, "max"
    return metric, mode


def test_result(config: Mapping[str, Any], metrics: Mapping[str, float | None]) -> tuple[str, float] | None:
    """Name and value of the test metric to show: accuracy or, without it, the monitored one; None if not tested."""
    for name in ("test/acc", monitored(config)[0].replace("val/", "test/", 1)):
        if (value := metrics.get(name)) is not None:
            return name, value
    return None
