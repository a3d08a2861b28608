"""What becomes of the jobs of a process that cannot train them."""

from __future__ import annotations

import logging
from pathlib import Path
from subprocess import Popen

import pytest
from helpers.kill_and_resume import configuration

from mnist_mlp.extras.stacked_launcher import worker_pool as workers
from mnist_mlp.extras.stacked_launcher.grouping import Job
from mnist_mlp.extras.stacked_launcher.worker_pool import start


def ended(module: str) -> Popen[bytes]:
    worker = start("__hello__")  # of the standard library; it reads nothing
    worker.wait()
    return worker


def test_jobs_of_a_process_that_ended_before_it_read_them_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "start", ended)
    jobs = [Job(number=number, config=configuration(), directory=tmp_path / str(number)) for number in (4, 5)]
    with caplog.at_level(logging.ERROR):
        workers.train([jobs])
    assert caplog.messages == [f"jobs 4-5 are lost: their process ended with 0; resume={tmp_path}"]


def test_processes_that_were_begun_and_have_nothing_to_do_end() -> None:
    spare, orphan = workers.begin(2)
    workers.train([], begun=[spare])
    assert spare.poll() is not None
    assert orphan.poll() is None
    assert orphan.communicate(timeout=60) == (None, None)  # closes its input, as the end of this process would
    assert orphan.returncode == 0
