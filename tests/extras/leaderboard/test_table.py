"""What a terminal shows is what the result.json files say, within 80 columns."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.fake_run import ran
from hydra.core.override_parser.overrides_parser import OverridesParser

from mnist_mlp.config.compose import composed
from mnist_mlp.extras.leaderboard.difference import difference
from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.leaderboard import compared
from mnist_mlp.extras.leaderboard.table import text
from mnist_mlp.runs import record
from mnist_mlp.runs.result import RESULT_METRICS


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for seed, accuracy in enumerate((0.98, 0.982, 0.981)):
        ran(tmp_path / f"{seed}", "model.loss=mse", accuracy=accuracy, test=accuracy - 0.001, seed=seed)
        ran(tmp_path / f"{seed + 3}", accuracy=accuracy - 0.01, seed=seed)
    ran(tmp_path / "6", "model.loss=nll", accuracy=None, status="failed", error="DivergedError: it became nan")
    return tmp_path


def said_of(place: Path) -> str:
    return text(compared(find([place])))


def test_the_leaderboard_shows_ranks_intervals_failures_and_the_command_of_the_best(sweep: Path) -> None:
    said = said_of(sweep)
    header, first, second = (line.split() for line in said.splitlines()[:3])
    assert header[:2] == ["rank", "model.loss"]
    assert first[:9] == ["1", "mse", "98.10", "±", "0.25", "98.00", "±", "0.25", "3"]
    assert second[:3] == ["2", "cross_entropy", "97.10"]
    assert "DivergedError: it became nan" in said
    assert said.endswith("python src/train.py -m model.loss=mse seed=0,1,2")


def test_the_best_seed_of_the_first_is_named_with_its_epoch_as_training_counts_it(sweep: Path) -> None:
    assert f"best run: 98.20% val/acc, epoch 3 of 3\n  {sweep}/1\n" in said_of(sweep)


@pytest.mark.parametrize("name", ["plain", "my runs", "lr=0.1,seed=0", "it's", "größe (neu)", "a$b"])
def test_the_checkpoint_of_the_best_can_be_pasted_whatever_its_path(tmp_path: Path, name: str) -> None:
    best = ran(tmp_path / name, accuracy=0.98) / "checkpoints" / "best.ckpt"
    best.parent.mkdir()
    best.touch()
    line = next(line for line in said_of(tmp_path).splitlines() if "checkpoint=" in line)
    (typed,) = shlex.split(line)
    override = OverridesParser.create().parse_override(typed)
    assert override.value() == str(best)


def test_completed_runs_that_cannot_be_ranked_are_listed_with_what_they_lack_and_their_test_result(
    tmp_path: Path,
) -> None:
    none = dict.fromkeys(RESULT_METRICS)
    ran(tmp_path / "0", accuracy=None, metrics={**none, "train/loss": 0.1, "test/acc": 0.946})
    ran(tmp_path / "1", "metrics=[f1]", "checkpoint.monitor=val/own", accuracy=None, metrics={**none, "val/f1": 0.9})
    ran(tmp_path / "2", accuracy=None, status="failed", error="it became nan")
    assert said_of(tmp_path).splitlines() == [
        "not ranked: 2",
        f"  completed  {tmp_path}/0",
        "    no validation; test/acc 94.60%",
        f"  completed  {tmp_path}/1",
        "    no val/acc and no val/own",
        "",
        "not completed: 1",
        f"  failed  {tmp_path}/2",
        "    it became nan",
    ]


KEYS = ("optimizer.lr", "optimizer.weight_decay", "model.dropout", "model.label_smoothing", "augment.shift", "seed")


@pytest.mark.parametrize("keys", [1, 2, 3, 5])
def test_every_swept_key_is_shown_and_no_line_of_the_table_is_wider_than_80_columns(tmp_path: Path, keys: int) -> None:
    for number in range(4):
        words = [f"{key}=0.0{number + 1}23456" for key in KEYS[:keys]]
        for seed in range(2):
            accuracy = 0.98 - number / 100 + (seed + number) ** 2 / 1e4
            ran(tmp_path / f"{number}{seed}", *words, f"model.hidden=[{64 + number},128,128,32]", accuracy=accuracy)
            (tmp_path / f"{number}{seed}" / "result.json").write_text(
                (tmp_path / f"{number}{seed}" / "result.json").read_text().replace('"seed": 0', f'"seed": {seed}')
            )
    said = said_of(tmp_path)
    table = said.split("best run")[0]
    assert max(map(len, table.splitlines())) <= 80
    for key in KEYS[:keys]:
        assert key.rpartition(".")[2] in table
    for number in range(4):
        assert f"0.0{number + 1}23456" in table and f"[{64 + number},128,128,32]" in table


def test_of_many_entries_the_first_are_shown_and_the_rest_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_mlp.extras.leaderboard.table.ROWS", 5)
    for number in range(8):
        ran(tmp_path / str(number), f"optimizer.lr=0.00{number + 1}", accuracy=0.9 + number / 1e3)
    table = said_of(tmp_path).split("\n\n")[0].splitlines()
    assert [line.split()[1] for line in table[1:6]] == ["0.008", "0.007", "0.006", "0.005", "0.004"]
    assert table[6:] == ["... and 3 more: compare.py --csv and --json write all of them"]


def test_each_data_set_has_a_table_of_its_own(tmp_path: Path) -> None:
    ran(tmp_path / "0", accuracy=0.98)
    ran(tmp_path / "1", "data=synthetic", accuracy=0.99)
    ran(tmp_path / "2", "data=synthetic", "optimizer.lr=0.01", accuracy=0.97)
    said = said_of(tmp_path)
    assert re.findall(r"^data set (\w+):\n.*\n +1 .*?(\d\d\.00) +\d\d\.00", said, re.MULTILINE) == [
        ("synthetic", "99.00"),
        ("mnist", "98.00"),
    ]
    assert re.findall(r"again:\n  (.*)", said) == ["python src/train.py data=synthetic", "python src/train.py"]


@pytest.mark.parametrize(("copies", "said"), [(2, "1 run is left out"), (3, "2 runs are left out")])
def test_runs_that_repeat_another_are_said_to_be_left_out(tmp_path: Path, copies: int, said: str) -> None:
    for number in range(copies):
        ran(tmp_path / str(number), accuracy=0.98)
    assert said in said_of(tmp_path)


def test_two_runs_are_shown_by_what_differs(tmp_path: Path) -> None:
    ran(tmp_path / "a", accuracy=0.98)
    ran(tmp_path / "b", "optimizer.lr=0.01", accuracy=0.985, seed=1)
    said = difference(*find([tmp_path / "a", tmp_path / "b"]))
    rows = {words[0]: words[1:] for line in said.splitlines() if (words := re.split(r"  +", line.strip()))}
    assert rows["optimizer.lr"] == ["0.003", "0.01"]
    assert rows["seed"] == ["0", "1"]
    assert rows["val/acc"] == ["98.00%", "98.50%", "+0.50 points"]
    assert rows["best epoch"] == ["3", "3", "+0"]
    assert rows["b"] == [str(tmp_path / "b")]
    assert "model.hidden" not in rows


def test_a_resumed_run_has_the_configuration_of_one_that_was_not_stopped(tmp_path: Path) -> None:
    ran(tmp_path / "a", accuracy=0.98)
    ran(tmp_path / "b", f"resume={tmp_path}/b", accuracy=0.98)
    said = difference(*find([tmp_path / "a", tmp_path / "b"]))
    assert "\nresume " not in said and "The two configurations are the same." in said


def test_two_runs_that_were_killed_are_shown_by_what_differs_too(tmp_path: Path) -> None:
    config = asdict(composed())
    for name, lr in (("a", 0.1), ("b", 0.2)):
        (tmp_path / name).mkdir()
        own = {**config, "optimizer": {**config["optimizer"], "lr": lr}}
        record.write_run(tmp_path / name, record.RunRecord(config=own))
    assert re.search(r"^optimizer.lr +0.1 +0.2$", difference(*find([tmp_path])), re.MULTILINE)


def test_of_runs_without_a_record_it_is_not_said_that_they_are_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / record.RUN).write_text("{")
    assert "the same" not in difference(*find([tmp_path]))


def test_a_comparison_of_two_runs_survives_one_that_left_nothing(tmp_path: Path) -> None:
    ran(tmp_path / "0", accuracy=0.98)
    (tmp_path / "1").mkdir()
    (tmp_path / "multirun.yaml").write_text("")
    assert "no result" in difference(*find([tmp_path]))
