"""Which loggers a run has, and what a person is told whose package is missing."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import pytest
from helpers.kill_and_resume import configuration
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_mlp.config import errors
from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import Interrupted, MissingPackageError, SaveError
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import PROJECT, Config
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.runs import loggers
from mnist_mlp.runs.loggers import build_loggers
from mnist_mlp.training import train
from mnist_mlp.training.run import TrainingRun


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["tensorboard"]),
        (["logger=csv"], ["csv"]),
        (["logger=[tensorboard,csv]"], ["tensorboard", "csv"]),
        (["logger.csv=true"], ["tensorboard", "csv"]),
        (["logger=none"], []),
    ],
)
def test_loggers_are_chosen_by_name_one_or_several(words: list[str], names: list[str], tmp_path: Path) -> None:
    config = composed(*words)
    assert [name for name, chosen in asdict(config.logger).items() if chosen] == names
    assert len(build_loggers(config, tmp_path, None)) == len(names)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda package: None)
    with pytest.raises(MissingPackageError, match=f"-m pip install {name}$"):
        require_machine(composed(f"logger=[csv,{name}]"))
    monkeypatch.setattr(errors, "find_spec", lambda package: package)
    config = composed(f"logger=[csv,{name}]")
    require_machine(config)
    monkeypatch.undo()
    assert from_dict(asdict(config), Config) == config  # a checkpoint needs no logger


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed here")
def test_a_missing_package_stops_the_command_before_work(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "src" / "train.py"), "logger=wandb", f"hydra.run.dir={tmp_path / 'run'}"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    assert answer.stderr.endswith("-m pip install wandb\n")
    assert not list(tmp_path.iterdir())


class StandIn:
    """What `build_loggers` uses of MLFlowLogger: it begins a record unless it is given one."""

    records: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, *_: Any, run_id: str | None, **__: Any) -> None:
        if run_id is None:
            self.records.append({})
        self.version = run_id or f"record {len(self.records)}"

    def log_hyperparams(self, values: dict[str, Any]) -> None:
        own = self.records[int(self.version.split()[1]) - 1]
        assert not own  # MLflow refuses to change a value, and `resume` does change
        own |= values


def test_a_run_that_goes_on_keeps_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda package: package)
    monkeypatch.setattr(loggers, "MLFlowLogger", StandIn)
    monkeypatch.setattr(StandIn, "records", [])
    config = composed("logger=mlflow")
    for run, record in (("one", "record 1"), ("two", "record 2"), ("one", "record 1")):
        (tmp_path / run).mkdir(exist_ok=True)
        (logger,) = build_loggers(replace(config, resume=run), tmp_path / run, None)
        assert logger.version == record
    assert [record["resume"] for record in StandIn.records] == ["one", "two"]


@pytest.mark.filterwarnings("ignore:.*exists and is not empty")  # `train` hides it
def test_the_rows_of_a_resumed_run_are_on_the_disk_before_anything_can_fail(tmp_path: Path) -> None:
    table = tmp_path / "csv" / "metrics.csv"
    table.parent.mkdir()
    table.write_text("step,val/acc\n10,0.5\n20,0.75\n30,0.9\n")
    build_loggers(composed("logger=csv"), tmp_path, purge_step=21)
    assert table.read_text().splitlines() == ["step,val/acc", "10,0.5", "20,0.75"]


class FailsOnce(L.Callback):
    def __init__(self) -> None:
        self.failed = False

    def on_validation_start(self, *_: Any) -> None:
        if not self.failed:
            self.failed = True
            raise SaveError("the disk is full")


def test_a_run_that_failed_before_its_first_checkpoint_logs_each_step_once(tmp_path: Path) -> None:
    fails, words = FailsOnce(), ("logger=tensorboard", "trainer.max_steps=8", "checkpoint.every_seconds=60")
    with pytest.raises(SaveError):
        train(configuration(*words), tmp_path, callbacks=[fails])
    assert not list(tmp_path.glob("checkpoints/*"))
    time.sleep(1 - time.time() % 1)  # TensorBoard reads the files of one second in the order of their other numbers
    train(configuration(*words, f"resume={tmp_path}"), tmp_path, callbacks=[fails])
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    for tag in ("loss/train", "optimizer/lr"):
        steps = [scalar.step for scalar in events.Scalars(tag)]
        assert steps == sorted(set(steps)), tag


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of packages that are not ours to keep free of them
def test_mlflow_has_one_record_of_a_run_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the package mlflow")
    monkeypatch.setattr(loggers, "PROJECT", tmp_path)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "run").mkdir()
    config = configuration("logger=mlflow", "trainer.max_epochs=1", "trainer.limit_train_batches=14")
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(TrainingRun, "calibrate", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
        train(config, tmp_path / "run")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mnist-mlp").experiment_id
    assert [record.info.status for record in client.search_runs([experiment])] == ["FAILED"]
    train(replace(config, resume=str(tmp_path / "run")), tmp_path / "run")
    (record,) = client.search_runs([experiment])
    assert record.info.status == "FINISHED"
    assert record.data.metrics["final/test/acc"] > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_weights_and_biases_knows_a_run_that_was_stopped_by_one_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb", reason="needs the package wandb")
    config = configuration("logger=wandb", "trainer.max_epochs=1", "trainer.limit_train_batches=14")
    ids = []
    for resume in (None, str(tmp_path)):
        with monkeypatch.context() as patched, pytest.raises(Interrupted):
            patched.setattr(TrainingRun, "calibrate", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
            train(replace(config, resume=resume), tmp_path)
        wandb.finish()
        ids.append((tmp_path / "wandb" / "id").read_text().strip())
    assert ids[0] == ids[1]
    assert {path.name.rpartition("-")[2] for path in (tmp_path / "wandb").glob("offline-run-*")} == {ids[0]}


def steps_with(name: str, directory: Path) -> list[int]:
    """Steps at which a value was written to the CSV file."""
    with (directory / "csv" / "metrics.csv").open() as table:
        return [int(row["step"]) for row in csv.DictReader(table) if row[name]]


@pytest.mark.parametrize("engine", ["fast", "plain"])
@pytest.mark.parametrize(
    ("every", "limit", "steps"),
    [(12, -1, [12, 18, 24, 36]), (50, -1, [18, 36]), (12, 21, [12, 18, 21])],  # also with fewer steps in the run
)
def test_points_are_at_multiples_of_log_every_n_steps_and_at_the_ends_of_epochs(
    tmp_path: Path, engine: str, every: int, limit: int, steps: list[int]
) -> None:
    words = ("trainer.limit_train_batches=18", "trainer.val_check_interval=9", f"trainer.log_every_n_steps={every}")
    words += (f"trainer.max_steps={limit}", "trainer.max_epochs=2", "logger=csv", f"engine={engine}")
    train(configuration(*words), tmp_path)
    assert steps_with("gradient_norm", tmp_path) == steps
    for name in ("train/loss", "train/acc"):
        assert len(steps_with(name, tmp_path)) == 2  # once in each epoch


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_the_points_of_a_resumed_run_are_those_of_a_whole_one(tmp_path: Path, engine: str) -> None:
    words = ("trainer.limit_train_batches=18", "trainer.val_check_interval=9", "trainer.log_every_n_steps=12")
    words += ("logger=csv", f"engine={engine}", "trainer.max_epochs=2", "scheduler=constant")
    for directory, limits in (("whole", ["-1"]), ("parts", ["21", "-1"])):
        for number, limit in enumerate(limits):
            resume = f"resume={tmp_path / directory}" if number else "resume=null"
            train(configuration(*words, f"trainer.max_steps={limit}", resume), tmp_path / directory)
    losses = []
    for directory in ("whole", "parts"):
        with (tmp_path / directory / "csv" / "metrics.csv").open() as table:
            rows = [row for row in csv.DictReader(table) if row["gradient_norm"]]
        losses.append({row["step"]: row["train/loss_step"] for row in rows if row["step"] != "21"})
    assert losses[0].keys() == losses[1].keys() == {"12", "18", "24", "36"}
    assert losses[0]["36"] == losses[1]["36"]
