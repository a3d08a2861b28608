"""Runs that never ran: directories with a result.json, all that a comparison reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from mnist_mlp.config.compose import composed
from mnist_mlp.runs.result import RESULT_METRICS


@cache
def _config(overrides: tuple[str, ...]) -> str:
    return json.dumps(asdict(composed(*overrides)))


def ran(
    directory: Path, *overrides: str, accuracy: float | None, seed: int = 0, test: float | None = None, **other: Any
) -> Path:
    """A run of `overrides` with this validation accuracy, in [0, 1]; `other` replaces further parts of its result."""
    metrics = {
        **dict.fromkeys(RESULT_METRICS, 0.5),
        "val/acc": accuracy,
        "test/acc": accuracy if test is None else test,
    }
    row = {"train/loss": 0.4, "train/acc": 0.9, "val/loss": 0.5, "val/acc": accuracy, "lr": 1e-3, "seconds": 1.0}
    result = {
        "status": "completed",
        "error": None,
        "metrics": metrics,
        "history": [{"epoch": epoch, **row} for epoch in range(3)],
        "best_epoch": 2,
        "epochs": 3,
        "seconds": {"setup": 0.5, "fit": 3.0, "test": 0.5, "total": 4.0},
        "parameters": 109_386,
        "seed": seed,
        "config": {**json.loads(_config(overrides)), "seed": seed},
        "versions": {"python": "3.11.2"},
        "git": "abc",
    }
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(json.dumps({**result, **other}))
    return directory
