"""The metric that decides among several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs.directories import Run
from mnist_mlp.runs.monitored import monitored_by_all, require_measured

LOSS, F1 = {"monitor": "val/loss", "mode": "min"}, {"monitor": "val/f1", "mode": "max"}


def run(checkpoint: dict[str, str], **metrics: float | None) -> Run:
    result: dict[str, Any] = {
        "config": {"checkpoint": checkpoint},
        "metrics": {f"val/{name}": value for name, value in metrics.items()},
    }
    return Run(directory=Path(), result=result)


@pytest.mark.parametrize(
    ("runs", "decides"),
    [
        ([], ("val/acc", "max")),
        ([run(LOSS, loss=0.1), run(LOSS, loss=0.2)], ("val/loss", "min")),
        ([run(F1, f1=0.9, loss=0.1), run(LOSS, f1=0.8, loss=0.2)], ("val/acc", "max")),  # they differ
        ([run(F1, f1=0.9), run(F1, f1=None)], ("val/acc", "max")),  # one has not measured it
    ],
)
def test_runs_are_compared_by_what_all_of_them_monitored(runs: list[Run], decides: tuple[str, str]) -> None:
    assert monitored_by_all(runs) == decides


def test_a_metric_that_was_not_measured_is_named_beside_those_that_were() -> None:
    with pytest.raises(ConfigError, match=r"^checkpoint\.monitor: expected val/loss, got 'val/acc'; metrics="):
        require_measured("checkpoint", "val/acc", ["train/loss", "val/loss"])
    names = ["val/acc/dataloader_idx_0", "val/acc/dataloader_idx_1"]
    with pytest.raises(ConfigError, match=r"with several loaders .* unless self.log gets add_dataloader_idx=False"):
        require_measured("checkpoint", "val/acc", names)
