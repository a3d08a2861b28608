"""Which runs belong together, in which order they come, and which are left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from helpers.fake_run import ran

from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.leaderboard import Leaderboard, compared
from mnist_mlp.runs.result import METRICS


def board_of(place: Path) -> Leaderboard:
    (board,) = compared(find([place])).boards
    return board


def test_runs_that_differ_in_their_seed_alone_are_one_entry(tmp_path: Path) -> None:
    for seed in range(3):
        ran(tmp_path / f"a{seed}", accuracy=0.97 + seed / 100, seed=seed)
        ran(tmp_path / f"b{seed}", "model.hidden=[32]", accuracy=0.9, seed=seed)
    board = board_of(tmp_path)
    assert board.keys == ["model.hidden"]
    assert [(entry.settings["model.hidden"], entry.seeds) for entry in board.entries] == [
        ([128, 64], [0, 1, 2]),
        ([32], [0, 1, 2]),
    ]
    assert board.entries[0].score.mean == pytest.approx(0.98)


def test_the_rank_goes_by_validation_whatever_the_test_set_says(tmp_path: Path) -> None:
    ran(tmp_path / "0", "optimizer.lr=0.01", accuracy=0.97, test=0.99)
    ran(tmp_path / "1", "optimizer.lr=0.02", accuracy=0.98, test=0.90)
    assert [entry.settings["optimizer.lr"] for entry in board_of(tmp_path).entries] == [0.02, 0.01]


def test_a_key_that_follows_from_the_name_of_its_section_is_not_told_again(tmp_path: Path) -> None:
    ran(tmp_path / "0", "optimizer=adamw", accuracy=0.98)
    ran(tmp_path / "1", "optimizer=sgd", accuracy=0.97)
    assert board_of(tmp_path).keys == ["optimizer.name"]
    ran(tmp_path / "2", "optimizer=sgd", "optimizer.lr=0.5", accuracy=0.96)
    assert board_of(tmp_path).keys == ["optimizer.name", "optimizer.lr"]


def test_where_a_run_lies_and_what_it_shows_does_not_set_it_apart(tmp_path: Path) -> None:
    ran(tmp_path / "0", "data.dir=/here", "logger=csv", accuracy=0.98, seed=0)
    ran(tmp_path / "1", "data.dir=/there", "trainer.enable_progress_bar=false", accuracy=0.98, seed=1)
    (entry,) = board_of(tmp_path).entries
    assert (entry.settings, entry.seeds) == ({}, [0, 1])


def test_the_same_run_twice_counts_once(tmp_path: Path) -> None:
    ran(tmp_path / "0", accuracy=0.98, seed=0)
    ran(tmp_path / "1", accuracy=0.98, seed=0)
    board = board_of(tmp_path)
    assert (board.entries[0].seeds, board.repeated) == ([0], 1)


def test_a_newer_trial_that_was_not_tested_does_not_hide_a_run_that_was(tmp_path: Path) -> None:
    untested = {"metrics": {**dict.fromkeys(METRICS, 0.5), "val/acc": 0.98, "test/acc": None}}
    for number, more in enumerate(({}, {}, untested)):
        ran(tmp_path / str(number), accuracy=0.98, seed=0, **more)
        os.utime(tmp_path / str(number) / "result.json", (number, number))
    board = board_of(tmp_path)
    assert [run.directory.name for run in board.entries[0].runs] == ["1"]
    assert board.repeated == 2


def test_runs_on_different_data_sets_are_not_ranked_against_each_other(tmp_path: Path) -> None:
    for number, words in enumerate((["data=synthetic"], [], ["data=synthetic", "optimizer.lr=0.01"])):
        ran(tmp_path / str(number), *words, accuracy=0.9 + number / 100)
        os.utime(tmp_path / str(number) / "result.json", (number, number))
    boards = compared(find([tmp_path])).boards
    assert [(board.data, len(board.entries), board.keys) for board in boards] == [
        ("synthetic", 2, ["optimizer.lr"]),
        ("mnist", 1, []),
    ]


def test_jobs_that_failed_or_left_no_word_are_listed_and_not_ranked(tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").write_text("")
    ran(tmp_path / "0", accuracy=0.98)
    ran(tmp_path / "1", accuracy=None, status="failed", error="DivergedError: nan")
    (tmp_path / "2").mkdir()
    comparison = compared(find([tmp_path]))
    assert [len(board.entries) for board in comparison.boards] == [1]
    assert [run.status for run in comparison.unfinished] == ["failed", "no result"]


def test_the_metric_that_chose_the_best_epoch_ranks_and_further_ones_are_shown(tmp_path: Path) -> None:
    """`checkpoint.monitor` and `checkpoint.mode`, where all runs agree on them."""
    for number, (accuracy, loss) in enumerate(((0.98, 0.09), (0.97, 0.08))):
        metrics = {**dict.fromkeys(METRICS, 0.5), "val/acc": accuracy, "val/loss": loss, "val/f1": 0.9}
        place = ran(tmp_path / str(number), f"optimizer.lr={0.01 * (1 + number)}", accuracy=accuracy, metrics=metrics)
        result = json.loads((place / "result.json").read_text())
        result["config"]["checkpoint"] |= {"monitor": "val/loss", "mode": "min"}
        (place / "result.json").write_text(json.dumps(result))
    board = board_of(tmp_path)
    assert [entry.settings["optimizer.lr"] for entry in board.entries] == [0.02, 0.01]
    assert board.metrics == ["val/loss", "val/acc", "test/acc", "val/f1"]


@pytest.mark.parametrize("part", ["config", "metrics", "seconds", "seed", "parameters", "history"])
def test_a_result_that_lacks_a_part_is_not_ranked_and_no_traceback(tmp_path: Path, part: str) -> None:
    ran(tmp_path / "0", accuracy=0.98)
    ran(tmp_path / "1", accuracy=0.98)
    result = json.loads((tmp_path / "1" / "result.json").read_text())
    (tmp_path / "1" / "result.json").write_text(json.dumps({**result, part: None}))
    comparison = compared(find([tmp_path]))
    assert [len(entry.runs) for board in comparison.boards for entry in board.entries] == [1]
    assert len(comparison.unfinished) == 1
