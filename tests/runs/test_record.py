"""Records that are JSON, but lack a part or have one of another kind, are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs.record import RUN, SWEEP, read_run, read_sweep

COMMAND = {"config_name": "train", "config_dirs": [], "task": [], "hydra": []}


@pytest.mark.parametrize(
    ("name", "read", "content"),
    [
        (SWEEP, read_sweep, {"config": {}}),
        (SWEEP, read_sweep, {"config": {}, "jobs": [{"number": 1}], "command": {}}),
        (SWEEP, read_sweep, {"config": {}, "jobs": [], "command": {**COMMAND, "task": None}}),
        (SWEEP, read_sweep, {"config": {}, "jobs": [], "command": {**COMMAND, "hydra": [1]}}),
        (
            SWEEP,
            read_sweep,
            {"config": {}, "jobs": [{"number": 0, "directory": 5, "overrides": []}], "command": COMMAND},
        ),
        (SWEEP, read_sweep, {"config": {}, "jobs": [], "command": COMMAND, "format": "x"}),
        (RUN, read_run, {"config": {}, "command": {"task": []}}),
        (RUN, read_run, {"config": {}, "command": COMMAND, "sweep": 5}),
    ],
)
def test_a_record_with_a_part_missing_or_of_another_kind_is_refused(
    tmp_path: Path, name: str, read: Callable[[Path], Any], content: dict[str, Any]
) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=rf"{name}: is damaged, or not of this project: "):
        read(tmp_path)
