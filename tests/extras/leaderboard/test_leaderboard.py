"""Which runs belong together, in which order they come, and which are left out."""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pandas
import pytest
from helpers.fake_run import ran
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.leaderboard import Leaderboard, compared, flattened, lacking
from mnist_mlp.runs.directories import Run
from mnist_mlp.runs.result import RESULT_METRICS


def board_of(place: Path) -> Leaderboard:
    (board,) = compared(find([place])).boards
    return board


@st.composite
def some_runs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Runs of up to four configurations and seeds in any order, some of them repeated, the oldest first."""
    one = st.fixed_dictionaries(
        {
            "optimizer.lr": st.sampled_from([0.01, 0.02]),
            "model.hidden": st.sampled_from([[32], [64, 32]]),
            "seed": st.integers(0, 3),
            "accuracy": st.integers(900, 999).map(lambda of_thousand: of_thousand / 1000),
            "test": st.floats(0, 1),
        }
    )
    return draw(st.lists(one, min_size=1, max_size=10))


def made(place: Path, cases: list[dict[str, Any]]) -> list[Run]:
    for number, case in enumerate(cases):
        words = (f"optimizer.lr={case['optimizer.lr']}", f"model.hidden={case['model.hidden']}".replace(" ", ""))
        ran(place / str(number), *words, accuracy=case["accuracy"], seed=case["seed"], test=case["test"])
        os.utime(place / str(number) / "result.json", ns=(number, number))
    return find([place])


def test_a_run_from_before_a_key_existed_belongs_to_those_with_its_legacy_default(tmp_path: Path) -> None:
    runs = [ran(tmp_path / str(seed), accuracy=0.98, seed=seed) for seed in range(3)]
    result = json.loads((runs[0] / "result.json").read_text())
    del result["config"]["model"]["adversarial"], result["config"]["augment"]["blank"]
    (runs[0] / "result.json").write_text(json.dumps(result))
    changed = json.loads((runs[1] / "result.json").read_text())
    changed["config"]["model"]["adversarial"] = 0.5
    (runs[1] / "result.json").write_text(json.dumps(changed))
    assert sorted(entry.seeds for entry in board_of(tmp_path).entries) == [[0, 2], [1]]


@given(some_runs(), st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_entries_are_those_that_pandas_groups_ranked_by_validation_alone(
    cases: list[dict[str, Any]], chance: random.Random
) -> None:
    """One for each configuration; of a seed that ran twice the newer run; whatever the test set says."""
    with tempfile.TemporaryDirectory() as folder:
        found = made(Path(folder), cases)
        chance.shuffle(found)
        (board,) = compared(found).boards
    frame = pandas.DataFrame(cases).assign(hidden=lambda frame: frame["model.hidden"].map(str))
    once = frame.drop_duplicates(["optimizer.lr", "hidden", "seed"], keep="last").sort_values("seed")
    means = once.groupby(["optimizer.lr", "hidden"])["accuracy"].mean()
    assert board.repeated == len(frame) - len(once)
    assert [entry.score.mean for entry in board.entries] == pytest.approx(sorted(means, reverse=True), rel=1e-12)
    assert set(board.keys) == {key for key in ("optimizer.lr", "model.hidden") if frame[key].map(str).nunique() > 1}
    for entry in board.entries:
        chosen = once[(once["hidden"] == str(entry.config["model"]["hidden"]))]
        chosen = chosen[chosen["optimizer.lr"] == entry.config["optimizer"]["lr"]]
        assert entry.score_by_seed == dict(zip(chosen["seed"], chosen["accuracy"], strict=True))
        assert entry.seeds == sorted(entry.seeds)
        assert all(entry.settings[key] == flattened(entry.config)[key] for key in board.keys)
    first = board.entries[0]
    assert board.best_run.result["metrics"]["val/acc"] == max(first.score.values)


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
    untested = {"metrics": {**dict.fromkeys(RESULT_METRICS, 0.5), "val/acc": 0.98, "test/acc": None}}
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
        metrics = {**dict.fromkeys(RESULT_METRICS, 0.5), "val/acc": accuracy, "val/loss": loss, "val/f1": 0.9}
        place = ran(tmp_path / str(number), f"optimizer.lr={0.01 * (1 + number)}", accuracy=accuracy, metrics=metrics)
        result = json.loads((place / "result.json").read_text())
        result["config"]["checkpoint"] |= {"monitor": "val/loss", "mode": "min"}
        (place / "result.json").write_text(json.dumps(result))
    board = board_of(tmp_path)
    assert [entry.settings["optimizer.lr"] for entry in board.entries] == [0.02, 0.01]
    assert board.metrics == ["val/loss", "val/acc", "test/acc", "val/f1"]


def test_runs_without_accuracy_are_ranked_by_what_they_monitored_apart_from_those_with_it(tmp_path: Path) -> None:
    words = ("metrics=[f1]", "checkpoint.monitor=val/f1")
    for lr, f1 in ((0.01, 0.91), (0.02, 0.92)):
        metrics = {**dict.fromkeys(RESULT_METRICS), "val/loss": 0.5, "val/f1": f1}
        ran(tmp_path / str(lr), *words, f"optimizer.lr={lr}", accuracy=None, metrics=metrics)
    ran(tmp_path / "plain", accuracy=0.98)
    comparison = compared(find([tmp_path]))
    assert not comparison.unfinished
    by_metric = {board.monitor: board for board in comparison.boards}
    assert by_metric.keys() == {"val/acc", "val/f1"}
    assert [entry.settings["optimizer.lr"] for entry in by_metric["val/f1"].entries] == [0.02, 0.01]


def test_a_metric_whose_largest_value_is_best_is_not_ranked_with_runs_that_want_its_smallest(tmp_path: Path) -> None:
    for mode, values in {"max": (0.3, 0.4), "min": (0.1, 0.2)}.items():
        for seed, value in enumerate(values):
            words = (
                "metrics=[f1]",
                "checkpoint.monitor=val/own",
                f"checkpoint.mode={mode}",
                f"optimizer.lr=0.0{seed + 1}",
            )
            metrics = {**dict.fromkeys(RESULT_METRICS), "val/own": value}
            ran(tmp_path / f"{mode}{seed}", *words, accuracy=None, metrics=metrics)
    boards = {board.data: board for board in compared(find([tmp_path])).boards}
    assert boards.keys() == {"mnist, by val/own (max)", "mnist, by val/own (min)"}
    for mode, best in (("max", 0.4), ("min", 0.1)):
        assert boards[f"mnist, by val/own ({mode})"].best_run.result["metrics"]["val/own"] == best


@pytest.mark.parametrize("part", ["config", "metrics", "seconds", "seed", "parameters", "history"])
def test_a_result_that_lacks_a_part_is_not_ranked_and_no_traceback(tmp_path: Path, part: str) -> None:
    ran(tmp_path / "0", accuracy=0.98)
    ran(tmp_path / "1", accuracy=0.98)
    result = json.loads((tmp_path / "1" / "result.json").read_text())
    (tmp_path / "1" / "result.json").write_text(json.dumps({**result, part: None}))
    comparison = compared(find([tmp_path]))
    assert [len(entry.runs) for board in comparison.boards for entry in board.entries] == [1]
    (run,) = comparison.unranked
    assert lacking(run.result) == f"result.json lacks {part}"


def test_runs_on_other_data_under_the_same_name_have_a_leaderboard_of_their_own(tmp_path: Path) -> None:
    words = ("data=folder", "data.path=/images", "augment=none")
    for number, sha256 in enumerate(["a" * 64, "a" * 64, "b" * 64]):
        ran(tmp_path / str(number), *words, accuracy=0.9 + number / 100, seed=number, data_sha256=sha256)
    ran(tmp_path / "older", *words, accuracy=0.9, seed=3)
    boards = compared(find([tmp_path])).boards
    assert {board.data: [entry.seeds for entry in board.entries] for board in boards} == {
        "folder /images (SHA-256 aaaaaaaa...)": [[0, 1]],
        "folder /images (SHA-256 bbbbbbbb...)": [[2]],
        "folder /images (no checksum)": [[3]],
    }
    known = compared(find([tmp_path / name for name in ("0", "1", "older")])).boards
    assert [(board.data, board.entries[0].seeds) for board in known] == [("folder /images", [0, 1, 3])]
