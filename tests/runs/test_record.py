"""Records that are JSON, but lack a part or have one of another kind, are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs.record import RUN, SWEEP, read_run, read_sweep


@pytest.mark.parametrize(
    ("name", "read", "content"),
    [
        (SWEEP, read_sweep, {"config": {}}),
        (SWEEP, read_sweep, {"config": {}, "jobs": [{"number": 1}], "command": {}}),
        (RUN, read_run, {"config": {}, "command": {"task": []}}),
    ],
)
def test_a_record_that_lacks_a_part_is_refused(
    tmp_path: Path, name: str, read: Callable[[Path], Any], content: dict[str, Any]
) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=rf"{name}: is damaged, or not of this project: "):
        read(tmp_path)
