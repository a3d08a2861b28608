"""Results as data: what a DataFrame, a CSV and a JSON file hold is what the result.json files say."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict
from pathlib import Path

import pandas
import pytest
from helpers.fake_run import ran
from scipy.stats import ttest_rel

from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import MissingPackageError
from mnist_mlp.extras.leaderboard.difference import difference
from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.leaderboard import compared
from mnist_mlp.extras.leaderboard.results import records, results, write_csv, write_json
from mnist_mlp.runs import record


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for seed, accuracy in enumerate((0.98, 0.982, 0.981)):
        ran(tmp_path / f"{seed}", "model.loss=mse", accuracy=accuracy, test=accuracy - 0.001, seed=seed)
        ran(tmp_path / f"{seed + 3}", "model.hidden=[32]", accuracy=accuracy - 0.01 - seed**2 / 1e3, seed=seed)
    ran(tmp_path / "6", "model.loss=nll", accuracy=None, status="failed", error="DivergedError: it became nan")
    return tmp_path


def test_the_csv_file_has_a_row_for_every_run_with_its_learning_curve(sweep: Path, tmp_path: Path) -> None:
    write_csv(compared(find([sweep])), tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["val/acc"] for row in rows[:3]] == ["0.98", "0.982", "0.981"]
    assert {row["rank"] for row in rows[:3]} == {"1"}
    assert float(rows[0]["val/acc mean"]) == pytest.approx(0.981)
    assert float(rows[3]["p_value"]) == pytest.approx(ttest_rel((0.98, 0.982, 0.981), (0.97, 0.971, 0.967)).pvalue)
    assert (rows[0]["model.hidden"], rows[3]["model.hidden"]) == ("[128,64]", "[32]")
    assert (rows[-1]["status"], rows[-1]["val/acc"], rows[-1]["model.loss"]) == ("failed", "", "nll")
    assert len(rows) == 7
    for row in rows[:6]:
        written = json.loads((Path(row["directory"]) / "result.json").read_text())
        curve = [epoch["val/acc"] for epoch in written["history"]]
        assert json.loads(row["history/val/acc"]) == curve
        assert json.loads(row["history/epoch"]) == [1, 2, 3]
        assert int(row["best_epoch"]) == written["best_epoch"] + 1  # as training prints it


def test_the_json_file_has_the_whole_configuration_and_the_history_of_every_run(sweep: Path, tmp_path: Path) -> None:
    write_json(compared(find([sweep])), tmp_path / "runs.json")
    rows = json.loads((tmp_path / "runs.json").read_text())
    assert len(rows) == 7
    for row in rows:
        written = json.loads((Path(row["directory"]) / "result.json").read_text())
        assert row["config"] == written["config"]
        assert row["history"] == [{**epoch, "epoch": epoch["epoch"] + 1} for epoch in written["history"]]
        assert (row["status"], row["error"], row["seed"]) == (written["status"], written["error"], written["seed"])


def test_a_history_of_another_program_is_left_out(tmp_path: Path) -> None:
    ran(tmp_path / "ours", accuracy=0.9)
    (tmp_path / "theirs").mkdir()
    content = {"status": "completed", "history": [{"val/acc": 0.5}, 3], "config": {"data": "mnist"}, "metrics": None}
    (tmp_path / "theirs" / "result.json").write_text(json.dumps(content))
    assert difference(*find([tmp_path / "ours", tmp_path / "theirs"]))
    comparison = compared(find([tmp_path]))
    assert [run.directory.name for run in comparison.unfinished] == ["theirs"]
    assert [len(record["history/epoch"]) for record in records(comparison)] == [3, 0]


def test_a_killed_run_has_its_settings_too(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    config = asdict(composed("optimizer.lr=0.1"))
    record.write_run(tmp_path / "0", record.RunRecord(config=config))
    (row,) = records(compared(find([tmp_path])), keys=["optimizer.lr"])
    assert (row["status"], row["data"], row["optimizer.lr"]) == ("no result", "mnist", 0.1)
    write_json(compared(find([tmp_path])), tmp_path / "runs.json")
    assert json.loads((tmp_path / "runs.json").read_text())[0]["config"] == config


def test_images_of_ones_own_have_one_name_whether_their_run_was_completed_or_not(tmp_path: Path) -> None:
    for status in ("completed", "failed"):
        words = ("data=folder", f"data.path={tmp_path}/pictures")
        ran(tmp_path / status, *words, accuracy=0.9 if status == "completed" else None, status=status)
    assert {row["data"] for row in records(compared(find([tmp_path])))} == {f"folder {tmp_path}/pictures"}


def test_a_frame_groups_by_any_key_and_unfolds_into_epochs(sweep: Path) -> None:
    history = [{"epoch": epoch, "val/f1": 0.9} for epoch in range(3)]  # other metrics than those of the others
    ran(sweep / "7", "model.hidden=[32]", accuracy=0.9, seed=3, history=history)
    frame = results(sweep)
    assert frame["rank"].tolist()[:6] == [1, 1, 1, 2, 2, 2]
    means = frame.groupby("model.hidden")["test/acc"].mean()
    assert means["[128,64]"] == pytest.approx(0.98)
    curves = [column for column in frame if column.startswith("history/")]
    epochs = frame.explode(curves)
    assert len(epochs) == 8 * 3
    assert epochs["history/epoch"].tolist()[:4] == [1, 2, 3, 1]
    assert isinstance(frame, pandas.DataFrame)


def test_a_frame_of_several_directories_ranks_all_their_runs(tmp_path: Path) -> None:
    ran(tmp_path / "monday" / "0", accuracy=0.97)
    ran(tmp_path / "tuesday" / "0", "optimizer.lr=0.01", accuracy=0.98)
    frame = results(str(tmp_path / "monday"), tmp_path / "tuesday")
    assert frame["optimizer.lr"].tolist() == [0.01, 0.003]


def test_without_pandas_one_line_says_how_to_install_it(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match="-m pip install pandas"):
        results(sweep)
