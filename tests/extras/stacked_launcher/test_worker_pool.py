"""What becomes of the jobs of a process that cannot train them."""

from __future__ import annotations

import io
import logging
import os
import queue
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.kill_and_resume import configuration

from mnist_mlp.extras.stacked_launcher import dispatch, worker_pool
from mnist_mlp.extras.stacked_launcher.grouping import Job
from mnist_mlp.extras.stacked_launcher.worker import Tasks, _job


def test_jobs_of_a_process_that_ended_before_it_read_them_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_pool, "MODULE", "__hello__")  # of the standard library; it reads nothing
    jobs = [Job(number=number, config=configuration(), directory=tmp_path / str(number)) for number in (4, 5)]
    with caplog.at_level(logging.ERROR):
        dispatch.train([jobs], worker_pool.Processes(1))
    assert caplog.messages == ["jobs 4-5 are lost: their process ended with 0"]


@pytest.mark.slow
def test_processes_that_were_begun_and_have_nothing_to_do_end() -> None:
    backend = worker_pool.Processes(1)
    orphan = worker_pool.Worker()
    backend.close()
    assert orphan.process.poll() is None
    assert orphan.end() == 0  # closes its input, as the end of this process would


def test_a_worker_whose_launcher_ends_before_it_has_begun_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its main thread may still be importing torch when the task and the end of the input are read."""
    signals: queue.Queue[int] = queue.Queue()
    monkeypatch.setattr(os, "kill", lambda _, number: signals.put(number))
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"stack": []}\n'))
    Tasks()
    assert signals.get(timeout=10) == signal.SIGTERM


@pytest.mark.parametrize("left", ["checkpoints", "result.json"])
def test_a_job_that_was_begun_is_resumed_even_if_it_saved_nothing(tmp_path: Path, left: str) -> None:
    given = {"config": asdict(configuration()), "directory": str(tmp_path), "number": 3, "logging": None}
    assert _job(given).config.resume is None
    (tmp_path / left).mkdir()
    assert _job(given).config.resume == str(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.03, 0.15])
def test_ctrl_c_ends_a_worker_that_still_imports_without_a_word(
    capfd: pytest.CaptureFixture[str], seconds: float
) -> None:
    worker = worker_pool.Worker()
    time.sleep(seconds)
    worker.process.send_signal(signal.SIGINT)
    assert worker.end() in worker_pool.STOPPED
    assert capfd.readouterr().err == ""
