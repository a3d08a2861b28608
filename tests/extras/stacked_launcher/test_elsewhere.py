"""A stack whose process or node is killed goes on elsewhere from its checkpoints, to the same bits."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.child_processes import children
from helpers.kill_and_resume import configuration, difference
from submitit.core.utils import FailedJobError, UncompletedJobError

from mnist_mlp.engine.job import Job
from mnist_mlp.engine.train_stack import train_stack
from mnist_mlp.extras.stacked_launcher import dispatch
from mnist_mlp.extras.stacked_launcher.backends import RAY, SUBMITIT_LOCAL, Resources
from mnist_mlp.extras.stacked_launcher.on_submitit import what_was_lost
from mnist_mlp.runs import directories

WORDS = ("model.hidden=[8]", "trainer.limit_train_batches=10", "checkpoint.every_seconds=60", "logger=none")


def stack(directory: Path, *overrides: str, first: int = 0) -> list[Job]:
    jobs = [
        Job(number=seed, config=configuration(*WORDS, *overrides, f"seed={seed}"), directory=directory / str(seed))
        for seed in range(first, first + 2)
    ]
    for job in jobs:
        job.directory.mkdir(parents=True, exist_ok=True)
    return jobs


def killed_once(backend: Any, begun: Callable[[], bool], kill: Callable[[], None]) -> dispatch.Backend:
    """The backend, in which something is killed as soon as training has begun."""
    look, killed = backend.ended, []

    def ended(seconds: float) -> Any:
        if not killed and begun():
            killed.append(True)
            kill()
        return look(min(seconds, 0.05 if not killed else seconds))

    backend.ended = ended
    return backend  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("error", "lost", "logged"),
    [
        (UncompletedJobError("Job 1 was cancelled\nits log"), "Job 1 was cancelled", []),
        (FailedJobError("Job 1 failed:\nTraceback ...\nValueError: 3"), None, ["a stack failed: ValueError: 3"]),
    ],
)
def test_a_job_that_raised_an_exception_is_not_begun_again(
    error: UncompletedJobError, lost: str | None, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def result() -> None:
        raise error

    assert what_was_lost(SimpleNamespace(result=result)) == lost  # type: ignore[arg-type]
    assert caplog.messages == logged


@pytest.mark.slow
def test_a_killed_job_of_submitit_is_begun_again_and_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitit = pytest.importorskip("submitit", reason="needs the extra `cluster`")
    monkeypatch.setattr(submitit.Job, "_results_timeout_s", 0.5)  # it hopes 15 seconds for a killed job's result
    from mnist_mlp.extras.stacked_launcher.on_submitit import SubmititJobs

    long = "trainer.max_epochs=20"
    jobs, alone = stack(tmp_path / "jobs", long), stack(tmp_path / "alone", long)
    begun = tmp_path / "submitit"  # where each job leaves files named after its process, which starts another one

    def kill() -> None:
        (job,) = (int(path.name.partition("_")[0]) for path in begun.glob("*_submitted.pkl"))
        for process in children(job):
            os.kill(process, signal.SIGKILL)

    saved = jobs[0].directory / directories.CHECKPOINTS / "last.ckpt"
    dispatch.train([jobs], killed_once(SubmititJobs(Resources(on=SUBMITIT_LOCAL), begun), saved.exists, kill))
    train_stack(alone)
    assert len(list(begun.glob("*_submitted.pkl"))) == 2
    assert [difference(one.directory, other.directory) for one, other in zip(jobs, alone, strict=True)] == [None, None]


@pytest.mark.slow
def test_a_killed_node_of_ray_leaves_its_stack_to_another_which_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    from ray.cluster_utils import Cluster

    from mnist_mlp.extras.stacked_launcher.on_ray import RayTasks

    long = "trainer.max_epochs=100"
    jobs = [stack(tmp_path / "jobs", long), stack(tmp_path / "jobs", long, first=2)]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        backend = RayTasks(Resources(on=RAY, address=cluster.address))
        saved = [one.directory / directories.CHECKPOINTS / "last.ckpt" for one, _ in jobs]
        dispatch.train(
            jobs,
            killed_once(
                backend,
                lambda: all(path.exists() for path in saved),
                lambda: cluster.remove_node(node, allow_graceful=False),
            ),
        )
    finally:
        cluster.shutdown()
    alone = stack(tmp_path / "alone", long), stack(tmp_path / "alone", long, first=2)
    for stacked, again in zip(jobs, alone, strict=True):
        train_stack(again)
        pairs = zip(stacked, again, strict=True)
        assert [difference(one.directory, other.directory) for one, other in pairs] == [None, None]
