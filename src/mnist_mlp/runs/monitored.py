"""Monitored metric: which one decides what is best, in a run and among several, and whether its largest or
smallest value is the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mnist_mlp.runs.directories import Run

ACCURACY = "val/acc"


def monitored(config: Mapping[str, Any]) -> tuple[str, str]:
    """`checkpoint.monitor` and `checkpoint.mode` in the configuration of a run; accuracy in one of an older version."""
    section = config.get("checkpoint") or {}
    return str(section.get("monitor", ACCURACY)), str(section.get("mode", "max"))


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
