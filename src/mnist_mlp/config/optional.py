"""Optional parts: functions of `engine` and `extras` that the core calls, if these folders have not been deleted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# By name, so that the core imports nothing from these folders: a copy of the project can leave them out.
PARTS = {
    "assemble": "mnist_mlp.engine.assembly:assemble",
    "calibrate": "mnist_mlp.extras.calibration.calibrate:calibrate",
    "dashboard": "mnist_mlp.extras.tensorboard.dashboard:Dashboard",
    "sweep_report": "mnist_mlp.extras.leaderboard.sweep_report:sweep_report",
}


def required(name: str) -> Any:
    """As `optional`, for a part that is there: `require_machine` has refused engine=fast without it."""
    part = optional(name)
    assert part is not None
    return part


def optional(name: str) -> Any | None:
    """The function or class with this name in `PARTS`; None if its folder or file was deleted."""
    module, _, attribute = PARTS[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if f"{module}.".startswith(f"{error.name}."):
            return None
        raise  # the part exists, but imports a package that is not installed
