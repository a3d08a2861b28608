"""Runs are found wherever they lie, and jobs under whatever names their sweep gave them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.fake_run import ran

from mnist_mlp.config.errors import ConfigError, ResultError
from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.runs import record
from mnist_mlp.runs.resume import expand


def test_runs_are_found_below_any_folder_and_once_each(tmp_path: Path) -> None:
    run = ran(tmp_path / "train" / "0", accuracy=0.98)
    ran(tmp_path / "multirun" / "noon" / "0", accuracy=0.98, seed=1)
    (tmp_path / "link").symlink_to("link")  # to itself: it hides nothing beside it
    assert len(find([tmp_path, run, tmp_path / "multirun" / "noon"])) == 2


def test_jobs_are_found_under_any_name_with_those_that_left_no_result(tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").write_text("")
    for name in ("optimizer.lr=0.01,seed=0", "optimizer.lr=0.01,seed=1", "wide/seed 2"):
        ran(tmp_path / name, accuracy=0.98)
    (tmp_path / "wide" / "killed" / ".hydra").mkdir(parents=True)
    found = {str(run.directory.relative_to(tmp_path)): run.status for run in find([tmp_path])}
    assert found == {
        "optimizer.lr=0.01,seed=0": "completed",
        "optimizer.lr=0.01,seed=1": "completed",
        "wide/seed 2": "completed",
        "wide/killed": "no result",
    }


def test_jobs_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 0):
        ran(tmp_path / str(number), accuracy=0.98)
    assert [run.directory.name for run in find([tmp_path])] == ["0", "9", "10"]


@pytest.mark.parametrize("content", ['{"a": 1}', '{"config": {}, "jobs": 3, "command": {}}', "{", '"\xff"'])
def test_a_sweep_whose_record_cannot_be_read_is_named_once_and_its_runs_are_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    ran(tmp_path / "sound", accuracy=0.98)
    ran(tmp_path / "damaged" / "0", accuracy=0.98)
    for folder in (tmp_path / "damaged", tmp_path / "foreign"):
        folder.mkdir(exist_ok=True)
        (folder / record.SWEEP).write_text(content, "latin-1")
    for _ in range(2):
        assert [str(run.directory.relative_to(tmp_path)) for run in find([tmp_path])] == ["sound", "damaged/0"]
    assert sorted(message.partition(":")[0] for message in caplog.messages) == [
        str(tmp_path / folder / record.SWEEP) for folder in ("damaged", "foreign")
    ]
    with pytest.raises(ConfigError, match=record.SWEEP):
        expand([f"resume={tmp_path / 'damaged'}"])


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere", "no such directory"), (".", "no run in it"), ("file", "a file")]
)
def test_a_place_without_runs_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultError, match=words):
        find([tmp_path / name])
