"""Which runs belong together, in which order they come, and which are left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from ran import ran

from mnist_mlp.comparison.leaderboard import find, leaderboard
from mnist_mlp.errors import ResultError


def test_runs_that_differ_in_their_seed_alone_are_one_entry(tmp_path: Path) -> None:
    for seed in range(3):
        ran(tmp_path / f"a{seed}", accuracy=0.97 + seed / 100, seed=seed)
        ran(tmp_path / f"b{seed}", "model.hidden=[32]", accuracy=0.9, seed=seed)
    board = leaderboard(find([tmp_path]))
    assert board.keys == ["model.hidden"]
    assert [(entry.settings["model.hidden"], entry.seeds) for entry in board.entries] == [
        ([128, 64], [0, 1, 2]),
        ([32], [0, 1, 2]),
    ]
    assert board.entries[0].accuracy.mean == pytest.approx(0.98)


def test_the_rank_goes_by_validation_whatever_the_test_set_says(tmp_path: Path) -> None:
    ran(tmp_path / "0", "optimizer.lr=0.01", accuracy=0.97, test=0.99)
    ran(tmp_path / "1", "optimizer.lr=0.02", accuracy=0.98, test=0.90)
    assert [entry.settings["optimizer.lr"] for entry in leaderboard(find([tmp_path])).entries] == [0.02, 0.01]


def test_a_key_that_follows_from_the_name_of_its_section_is_not_told_again(tmp_path: Path) -> None:
    ran(tmp_path / "0", "optimizer=adamw", accuracy=0.98)
    ran(tmp_path / "1", "optimizer=sgd", accuracy=0.97)
    assert leaderboard(find([tmp_path])).keys == ["optimizer.name"]
    ran(tmp_path / "2", "optimizer=sgd", "optimizer.lr=0.5", accuracy=0.96)
    assert leaderboard(find([tmp_path])).keys == ["optimizer.name", "optimizer.lr"]


def test_where_a_run_lies_and_what_it_shows_does_not_set_it_apart(tmp_path: Path) -> None:
    ran(tmp_path / "0", "data.dir=/here", "logger=csv", accuracy=0.98, seed=0)
    ran(tmp_path / "1", "data.dir=/there", "trainer.enable_progress_bar=false", accuracy=0.98, seed=1)
    (entry,) = leaderboard(find([tmp_path])).entries
    assert (entry.settings, entry.seeds) == ({}, [0, 1])


def test_the_same_run_twice_counts_once(tmp_path: Path) -> None:
    ran(tmp_path / "0", accuracy=0.98, seed=0)
    ran(tmp_path / "1", accuracy=0.98, seed=0)
    board = leaderboard(find([tmp_path]))
    assert (board.entries[0].seeds, board.repeated) == ([0], 1)


def test_jobs_that_failed_or_left_no_word_are_listed_and_not_ranked(tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").write_text("")
    ran(tmp_path / "0", accuracy=0.98)
    ran(tmp_path / "1", accuracy=None, status="failed", error="DivergedError: nan")
    (tmp_path / "2").mkdir()
    board = leaderboard(find([tmp_path]))
    assert len(board.entries) == 1
    assert [run.status for run in board.unfinished] == ["failed", "no result"]


def test_the_first_is_called_no_clear_winner_where_intervals_overlap(tmp_path: Path) -> None:
    for seed, (narrow, wide) in enumerate([(0.980, 0.97), (0.981, 0.99)]):
        ran(tmp_path / f"a{seed}", accuracy=narrow, seed=seed)
        ran(tmp_path / f"b{seed}", "model.hidden=[32]", accuracy=wide - 0.001, seed=seed)
        ran(tmp_path / f"c{seed}", "model.hidden=[8]", accuracy=0.8 + seed / 1e6, seed=seed)
    assert leaderboard(find([tmp_path])).tied == 1


def test_runs_are_found_below_any_folder_and_once_each(tmp_path: Path) -> None:
    run = ran(tmp_path / "train" / "0", accuracy=0.98)
    ran(tmp_path / "multirun" / "noon" / "0", accuracy=0.98, seed=1)
    assert len(find([tmp_path, run, tmp_path / "multirun" / "noon"])) == 2


@pytest.mark.parametrize(("name", "words"), [("nowhere", "no such directory"), (".", "no run in it")])
def test_a_place_without_runs_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ResultError, match=words):
        find([tmp_path / name])
