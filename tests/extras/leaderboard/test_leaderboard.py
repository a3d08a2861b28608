"""Which runs belong together, in which order they come, and which are left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.fake_run import ran

from mnist_mlp.config.errors import ResultError
from mnist_mlp.extras.leaderboard.leaderboard import Leaderboard, compared, find
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
    assert board.entries[0].accuracy.mean == pytest.approx(0.98)


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


def test_the_first_is_called_no_clear_winner_where_intervals_overlap(tmp_path: Path) -> None:
    for seed, (narrow, wide) in enumerate([(0.980, 0.97), (0.981, 0.99)]):
        ran(tmp_path / f"a{seed}", accuracy=narrow, seed=seed)
        ran(tmp_path / f"b{seed}", "model.hidden=[32]", accuracy=wide - 0.001, seed=seed)
        ran(tmp_path / f"c{seed}", "model.hidden=[8]", accuracy=0.8 + seed / 1e6, seed=seed)
    assert board_of(tmp_path).tied == 1


def test_runs_are_found_below_any_folder_and_once_each(tmp_path: Path) -> None:
    run = ran(tmp_path / "train" / "0", accuracy=0.98)
    ran(tmp_path / "multirun" / "noon" / "0", accuracy=0.98, seed=1)
    assert len(find([tmp_path, run, tmp_path / "multirun" / "noon"])) == 2


@pytest.mark.parametrize(("name", "words"), [("nowhere", "no such directory"), (".", "no run in it")])
def test_a_place_without_runs_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ResultError, match=words):
        find([tmp_path / name])
