"""One run of a stack that fails, alone, and what the others keep."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from helpers.kill_and_resume import configuration

from mnist_mlp.config.errors import ConfigError, DivergedError, Interrupted, SaveError
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.train_stack import train_stack
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training.run import TrainingRun

WORDS = ("trainer.max_epochs=2", "trainer.limit_train_batches=14", "checkpoint.every_seconds=60")


def jobs_of(directory: Path, *words: str) -> list[Job]:
    jobs = [
        Job(number=seed, config=configuration(*WORDS, *words, f"seed={seed}"), directory=directory / str(seed))
        for seed in (0, 1)
    ]
    for job in jobs:
        job.directory.mkdir()
    return jobs


def results(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [json.loads((job.directory / "result.json").read_text()) for job in jobs]


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("trainer.devices=2", r"trainer\.devices: expected 1"),
        ("trainer.overfit_batches=2", r"trainer\.overfit_batches: expected 0"),
    ],
)
def test_what_a_stack_cannot_train_is_refused_before_anything_is_written(
    tmp_path: Path, word: str, complaint: str
) -> None:
    jobs = jobs_of(tmp_path, "trainer.accelerator=cpu", word)
    with pytest.raises(ConfigError, match=complaint):
        train_stack(jobs)
    assert not list(tmp_path.glob("*/*"))


class OverflowsAndStops(L.Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 1:
            with torch.no_grad():
                next(pl_module.parameters()).fill_(torch.inf)
            signal.raise_signal(signal.SIGTERM)


def test_a_run_that_cannot_be_saved_at_a_signal_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path)
    with pytest.raises(Interrupted):
        train_stack(jobs, callbacks=[[OverflowsAndStops()], []])
    assert [result["status"] for result in results(jobs)] == ["failed", "interrupted"]
    assert checkpoint_file.read(jobs[1].directory / "checkpoints" / checkpoint_file.LAST)["global_step"] == 14


class Diverges(L.Callback):
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 1:
            raise DivergedError("the loss became nan")


def test_the_seconds_of_a_run_that_fails_alone_are_counted_once(tmp_path: Path) -> None:
    jobs, began = jobs_of(tmp_path), time.perf_counter()
    train_stack(jobs, callbacks=[[Diverges()], []])
    seconds = time.perf_counter() - began
    failed, completed = results(jobs)
    assert (failed["status"], completed["status"]) == ("failed", "completed")
    assert 0 < failed["seconds"]["fit"] < failed["seconds"]["total"] < seconds


def test_a_run_that_fails_after_training_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, calibrate = jobs_of(tmp_path), TrainingRun.calibrate

    def on_a_full_disk(run: TrainingRun, *, in_stack: bool) -> None:
        if run.config.seed == 0:
            raise SaveError("no space left")
        calibrate(run, in_stack=in_stack)

    monkeypatch.setattr(TrainingRun, "calibrate", on_a_full_disk)
    train_stack(jobs)
    failed, completed = results(jobs)
    assert (failed["status"], failed["error"]) == ("failed", "SaveError: no space left")
    assert completed["status"] == "completed"
    assert (failed["metrics"]["test/acc"], completed["metrics"]["test/acc"] is None) == (None, False)


def test_jobs_of_lightnings_own_loop_train_one_after_another(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "engine=plain")
    assert [result.seed for result in train_stack(jobs)] == [0, 1]
    assert [result["status"] for result in results(jobs)] == ["completed"] * 2


@pytest.mark.parametrize(("networks", "given", "threads"), [(1, None, 3), (2, None, 1), (1, 2, 2)])
def test_a_stack_has_one_thread_and_a_network_those_that_the_configuration_or_the_caller_gives(
    tmp_path: Path, networks: int, given: int | None, threads: int
) -> None:
    before = torch.get_num_threads()
    try:
        train_stack(jobs_of(tmp_path, "threads=3", "trainer.max_steps=1")[:networks], test=False, threads=given)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
