"""Optional parts: what the core uses from `mnist_mlp.extras`, by name, where that folder has not been deleted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# The core imports nothing from the extras, so that a copy of the project can leave them out.
PARTS = {
    "calibrate": "mnist_mlp.extras.calibration.calibrate:calibrate",
    "dashboard": "mnist_mlp.extras.tensorboard.dashboard:Dashboard",
    "sweep_report": "mnist_mlp.extras.leaderboard.sweep_report:sweep_report",
}


def optional(name: str) -> Any | None:
    """The part of that name in `PARTS`, or None where its folder or file was deleted."""
    module, _, attribute = PARTS[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if f"{module}.".startswith(f"{error.name}."):
            return None
        raise  # the part is there and lacks a package
