"""The seconds in a result, against a clock that is set by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mnist_mlp.runs import result as results
from mnist_mlp.runs.result import Result


def test_the_seconds_of_a_part_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0, 20.0, 23.5, 30.0, 30.5])
    monkeypatch.setattr(results, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    result = Result(directory=Path(), seed=0, config={})
    for part in ("fit", "fit", "test"):
        with result.timed(part):
            pass
    assert result.seconds == {"fit": 5.5, "test": 0.5}


def test_the_seconds_of_a_process_that_was_killed_are_those_of_its_history() -> None:
    result = Result(directory=Path(), seed=0, config={})
    result.history = [{"seconds": 2.0}, {"seconds": 3.0}]
    result._add_seconds_of_killed_process()
    assert result.seconds == {"fit": 5.0, "total": 5.0}
    result._add_seconds_of_killed_process()
    assert result.seconds == {"fit": 5.0, "total": 5.0}
