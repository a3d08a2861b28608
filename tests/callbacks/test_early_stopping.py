"""Early stopping ends a run at the epoch of a plain loop: alone, in a stack, and after a kill."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.kill_and_resume import configuration, difference, run_to_the_end, survive
from torch import Tensor

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train

LONG = ("trainer.max_epochs=12", "trainer.limit_train_batches=10", "optimizer.lr=0.03", "logger=none")
STOPPING = ("callbacks.early_stopping.patience=2", "callbacks.early_stopping.min_delta=0.05")


def expected_epochs(losses: list[float], patience: int = 2, min_delta: float = 0.05) -> int:
    """What a plain loop would do: stop after `patience` epochs in a row without an improvement."""
    best, waited = float("inf"), 0
    for epoch, loss in enumerate(losses, start=1):
        best, waited = (loss, 0) if loss < best - min_delta else (best, waited + 1)
        if waited == patience:
            return epoch
    return len(losses)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The validation losses of a run that is not stopped."""
    result = train(configuration(*LONG), tmp_path_factory.mktemp("whole"))
    return [row["val/loss"] for row in result.history]


@pytest.mark.engine
def test_it_stops_at_the_epoch_of_a_plain_loop_and_tests_the_best(
    tmp_path: Path, whole: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    epochs = expected_epochs(whole)
    assert epochs < len(whole)  # or nothing is shown
    for engine in ("fast", "plain"):
        caplog.clear()
        with caplog.at_level("INFO"):
            result = train(configuration(*LONG, *STOPPING, f"engine={engine}"), tmp_path / engine)
        assert caplog.text.count("early stopping: Monitored metric val/loss did not improve in the last 2") == 1
        assert [row["val/loss"] for row in result.history] == pytest.approx(whole[:epochs], abs=1e-5)
        assert result.metrics["val/acc"] == max(row["val/acc"] for row in result.history)
        assert result.metrics["test/acc"] is not None


@pytest.mark.engine
@pytest.mark.slow
def test_it_does_not_stop_before_the_least_steps(tmp_path: Path, whole: list[float]) -> None:
    least = expected_epochs(whole) + 1
    words = (*LONG, *STOPPING, f"trainer.min_steps={10 * least}")
    epochs = [
        train(configuration(*words, f"engine={engine}"), tmp_path / engine).epochs for engine in ("fast", "plain")
    ]
    assert epochs[0] == epochs[1] >= least


@pytest.mark.engine
@pytest.mark.slow
def test_a_member_of_a_stack_stops_alone(tmp_path: Path, whole: list[float]) -> None:
    from mnist_mlp.engine.job import Job
    from mnist_mlp.engine.train_stack import train_stack

    configs = [configuration(*LONG, *STOPPING), configuration(*LONG)]
    jobs = [Job(number=at, config=config, directory=tmp_path / str(at)) for at, config in enumerate(configs)]
    for job in jobs:
        job.directory.mkdir()
    train_stack(jobs)
    results = [json.loads((job.directory / "result.json").read_text()) for job in jobs]
    assert [result["epochs"] for result in results] == [expected_epochs(whole), len(whole)]
    assert [result["status"] for result in results] == ["completed", "completed"]
    train(configs[0], tmp_path / "alone")
    left, right = (
        checkpoint_file.read(place / "checkpoints" / checkpoint_file.LAST)
        for place in (tmp_path / "0", tmp_path / "alone")
    )
    assert left["global_step"] == right["global_step"]
    for name, value in left["state_dict"].items():
        assert float((value - right["state_dict"][name]).abs().max()) < 1e-3


@pytest.mark.engine
@pytest.mark.slow
def test_killed_and_resumed_it_stops_at_the_same_epoch_with_the_same_bits(tmp_path: Path) -> None:
    words = ("trainer.max_epochs=12", "trainer.limit_train_batches=10", "optimizer.lr=0.03", *STOPPING)
    reference = tmp_path / "reference"
    reference.mkdir()
    run_to_the_end(configuration(*words), reference)
    assert survive(tmp_path / "run", reference, 0.6, random.Random(3), kills=3, overrides=words) is None
    assert difference(reference, reference) is None


@pytest.mark.slow
@pytest.mark.parametrize("interval", [1.0, 0.25])
def test_killed_behind_the_epoch_in_which_it_stopped_it_reports_that_epoch_once(
    tmp_path: Path, interval: float
) -> None:
    config = configuration(*LONG, *STOPPING, f"trainer.val_check_interval={interval}")
    train(config, tmp_path / "reference")
    shutil.copytree(tmp_path / "reference", tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    train(replace(config, resume=str(tmp_path / "run")), tmp_path / "run")
    assert difference(tmp_path / "run", tmp_path / "reference") is None


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_run_that_stopped_for_a_value_that_is_not_finite_stays_stopped(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DigitClassifier, "on_validation_epoch_end", lambda module: module.log("val/own", float("nan")))
    words = (*LONG, *STOPPING, "callbacks.early_stopping.monitor=val/own", f"engine={engine}")
    config = configuration(*words, "trainer.max_epochs=3", "scheduler=constant")
    assert train(config, tmp_path).epochs == 1
    longer = replace(config, resume=str(tmp_path), trainer=replace(config.trainer, max_epochs=4))
    assert train(longer, tmp_path).epochs == 1


def test_a_metric_that_is_not_there_is_found_by_the_first_validation(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"checkpoint\.monitor: expected one of val/loss, val/acc, got 'val/nosuch'"):
        train(configuration(*LONG, "checkpoint.monitor=val/nosuch", "trainer.max_epochs=1"), tmp_path)


def test_the_best_checkpoint_is_that_of_the_monitored_metric(tmp_path: Path) -> None:
    words = ("checkpoint.monitor=val/loss", "checkpoint.mode=min", "trainer.max_epochs=6")
    result = train(configuration(*LONG, *words), tmp_path)
    losses = [row["val/loss"] for row in result.history]
    assert result.best_epoch == losses.index(min(losses))


def test_a_module_may_name_its_loss_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def as_nll(module: DigitClassifier, stage: str, loss: Tensor, output: Tensor, labels: Tensor) -> None:
        metrics = module.metrics_of(stage)
        metrics.update(output, labels)
        module.log_dict({f"{stage}/nll": loss, **metrics}, on_step=False, on_epoch=True, batch_size=len(labels))

    monkeypatch.setattr(DigitClassifier, "log_metrics", as_nll)
    with caplog.at_level("INFO"):
        result = train(configuration(), tmp_path)
    accuracies = [row["val/acc"] for row in result.history]
    assert result.best_epoch == accuracies.index(max(accuracies))
    assert f"acc {accuracies[0]:.2%}" in caplog.text
    assert "val/nll" in result.history[0] and result.history[0]["val/loss"] is None
