"""`hydra/launcher=stacked` leaves the sweep that Hydra's own launcher leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_mlp import runs
from mnist_mlp.config import PROJECT
from mnist_mlp.predictor import Predictor

SWEEP = [
    "data=synthetic",
    "model.hidden=[16],[8]",
    "model.loss=cross_entropy,mse",
    "optimizer.lr=1e-3,1e-2",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=20",
]


def sweep(directory: Path, *overrides: str) -> str:
    command = [sys.executable, str(PROJECT / "src/train.py"), "-m", *overrides, f"hydra.sweep.dir={directory}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("sweeps") / "stacked"
    return directory, sweep(directory, "hydra/launcher=stacked", *SWEEP)


def test_a_mixed_sweep_is_stacked_by_shape_and_says_so(stacked: tuple[Path, str]) -> None:
    directory, words = stacked
    assert "jobs 0-3: 4 networks side by side" in words
    assert "jobs 4-7: 4 networks side by side" in words
    assert [job.status for job in runs.jobs(directory)] == [runs.COMPLETED] * 8


@pytest.mark.slow
def test_the_results_are_those_of_the_basic_launcher(stacked: tuple[Path, str], tmp_path: Path) -> None:
    sweep(tmp_path / "basic", *SWEEP)
    for together, alone in zip(runs.jobs(stacked[0]), runs.jobs(tmp_path / "basic"), strict=True):
        assert together.result.keys() == alone.result.keys()
        assert together.result["config"] == alone.result["config"]
        assert together.result["metrics"] == pytest.approx(alone.result["metrics"], abs=2e-3)
        for name in ("config.yaml", "overrides.yaml"):
            left, right = ((job.directory / ".hydra" / name).read_text() for job in (together, alone))
            assert left == right
        assert (together.directory / "train.log").read_text().count("epoch   1/1") == 1


def test_a_job_is_predicted_from_as_a_single_run(stacked: tuple[Path, str]) -> None:
    assert Predictor.load(stacked[0] / "5").class_names == [str(digit) for digit in range(10)]


@pytest.mark.slow
def test_what_cannot_be_stacked_runs_alone_with_the_reason(tmp_path: Path) -> None:
    common = ["data=synthetic", "model.hidden=[8]", "trainer.max_epochs=1", "trainer.limit_train_batches=3"]
    words = sweep(
        tmp_path / "sweep", "hydra/launcher=stacked", *common, "seed=0,1", "trainer.precision=32-true,bf16-mixed"
    )
    assert "jobs 0, 2: 2 networks side by side" in words
    assert "job 1 runs alone: trainer.precision=bf16-mixed has no stacked form" in words
    results = [json.loads((job.directory / runs.RESULT).read_text()) for job in runs.jobs(tmp_path / "sweep")]
    assert [result["config"]["trainer"]["precision"] for result in results] == ["32-true", "bf16-mixed"] * 2
    assert {result["status"] for result in results} == {runs.COMPLETED}


@pytest.mark.slow
def test_a_stopped_sweep_is_finished(stacked: tuple[Path, str]) -> None:
    directory, _ = stacked
    for number in (1, 2, 3):  # as a kill before their first checkpoint would leave them
        (directory / str(number) / runs.RESULT).unlink()
        for path in (directory / str(number) / runs.CHECKPOINTS).iterdir():
            path.unlink()
    before = (directory / "0" / runs.RESULT).read_text()
    command = [sys.executable, str(PROJECT / "src/train.py"), f"resume={directory}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "jobs 1-3: 3 networks side by side" in done.stdout
    assert (directory / "0" / runs.RESULT).read_text() == before
    assert [job.status for job in runs.jobs(directory)] == [runs.COMPLETED] * 8
