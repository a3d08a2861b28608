"""What a terminal and a CSV file say is what the result.json files say."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from helpers.fake_run import ran

from mnist_mlp.extras.leaderboard.leaderboard import compared, find
from mnist_mlp.extras.leaderboard.table import difference, text, write_csv


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for seed, accuracy in enumerate((0.98, 0.982, 0.981)):
        ran(tmp_path / f"{seed}", "model.loss=mse", accuracy=accuracy, test=accuracy - 0.001, seed=seed)
        ran(tmp_path / f"{seed + 3}", accuracy=accuracy - 0.01, seed=seed)
    ran(tmp_path / "6", "model.loss=nll", accuracy=None, status="failed", error="DivergedError: it became nan")
    return tmp_path


def test_the_leaderboard_tells_ranks_intervals_failures_and_the_command_of_the_best(sweep: Path) -> None:
    said = text(compared(find([sweep])))
    header, first, second = (line.split() for line in said.splitlines()[:3])
    assert header[:2] == ["rank", "model.loss"]
    assert first == ["1", "mse", "98.10", "±", "0.25", "98.00", "±", "0.25", "3", "109,386", "4.0"]
    assert second[:3] == ["2", "cross_entropy", "97.10"]
    assert "DivergedError: it became nan" in said
    assert said.endswith("python src/train.py -m model.loss=mse seed=0,1,2")


def test_each_data_set_has_a_table_of_its_own_on_the_screen_and_its_name_in_the_csv_file(tmp_path: Path) -> None:
    ran(tmp_path / "0", accuracy=0.98)
    ran(tmp_path / "1", "data=synthetic", accuracy=0.99)
    ran(tmp_path / "2", "data=synthetic", "optimizer.lr=0.01", accuracy=0.97)
    comparison = compared(find([tmp_path]))
    said = text(comparison)
    assert re.findall(r"^data set (\w+):\n.*\n +1 .*?(\d\d\.00) +\d\d\.00", said, re.MULTILINE) == [
        ("synthetic", "99.00"),
        ("mnist", "98.00"),
    ]
    assert said.endswith("again:\n  python src/train.py data=synthetic\n  python src/train.py")
    write_csv(comparison, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = [[row[name] for name in ("data set", "rank", "optimizer.lr")] for row in csv.DictReader(file)]
    assert rows == [["synthetic", "1", "0.003"], ["synthetic", "2", "0.01"], ["mnist", "1", "0.003"]]


@pytest.mark.parametrize(("copies", "said"), [(2, "1 run is left out"), (3, "2 runs are left out")])
def test_runs_that_repeat_another_are_said_to_be_left_out(tmp_path: Path, copies: int, said: str) -> None:
    for number in range(copies):
        ran(tmp_path / str(number), accuracy=0.98)
    assert said in text(compared(find([tmp_path])))


def test_the_csv_file_has_the_numbers_of_every_run(sweep: Path, tmp_path: Path) -> None:
    write_csv(compared(find([sweep])), tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["val/acc"] for row in rows[:3]] == ["0.98", "0.982", "0.981"]
    assert {row["rank"] for row in rows[:3]} == {"1"}
    assert float(rows[0]["val/acc mean"]) == pytest.approx(0.981)
    assert (rows[-1]["status"], rows[-1]["val/acc"]) == ("failed", "")
    assert len(rows) == 7


def test_two_runs_are_told_by_what_differs(tmp_path: Path) -> None:
    ran(tmp_path / "a", accuracy=0.98)
    ran(tmp_path / "b", "optimizer.lr=0.01", accuracy=0.985, seed=1)
    lines = difference(*find([tmp_path / "a", tmp_path / "b"])).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert rows["optimizer.lr"] == ["0.003", "0.01"]
    assert rows["seed"] == ["0", "1"]
    assert rows["val/acc"] == ["0.9800", "0.9850", "+0.0050"]
    assert "model.hidden" not in rows


def test_a_comparison_of_two_runs_survives_one_that_left_nothing(tmp_path: Path) -> None:
    ran(tmp_path / "0", accuracy=0.98)
    (tmp_path / "1").mkdir()
    (tmp_path / "multirun.yaml").write_text("")
    assert "no result" in difference(*find([tmp_path]))
