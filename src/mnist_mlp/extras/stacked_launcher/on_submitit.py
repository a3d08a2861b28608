"""Stacks as jobs of submitit: job arrays of SLURM, or processes on this machine.

A stack that is preempted, or reaches its time limit, goes back to the queue and goes on from its checkpoints.
One whose process or node is lost is handed out again by `dispatch`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, UncompletedJobError

from mnist_mlp.cli.app import await_slurm
from mnist_mlp.config.errors import ConfigError, Interrupted
from mnist_mlp.distributed.hardware import cores
from mnist_mlp.extras.stacked_launcher.backends import LONGEST_SAVE, OF_SLURM, SLURM, Resources, prepare_for_submitit
from mnist_mlp.runs.signals import interruptible

log = logging.getLogger(__name__)

# Seconds between two looks at the jobs; SLURM's own service should not be asked often.
LOOK_LOCAL, LOOK_SLURM = 0.2, 10.0
# What SLURM keeps in its queue for one user, usually.
MOST_ON_SLURM = 1000


class Work:
    """What a job calls, pickled by its name; submitit calls `checkpoint` when the job is preempted."""

    def __call__(self, task: dict[str, Any]) -> None:
        # Imported here, as it imports torch: only where there is training to do.
        from mnist_mlp.extras.stacked_launcher.worker import work

        if submitit.JobEnvironment().cluster == "local":
            # submitit forwards a Ctrl-C. If the terminal sent it here too, the second one would kill before the save.
            os.setpgrp()
        try:
            work(task)
        except Interrupted as error:
            await_slurm(error)
            raise

    def checkpoint(self, task: dict[str, Any]) -> submitit.helpers.DelayedSubmission:
        return submitit.helpers.DelayedSubmission(self, task)


class SubmititJobs:
    """Backend for stacks: jobs that submitit starts, one for each of them."""

    def __init__(self, resources: Resources, folder: Path) -> None:
        self.on, self.on_slurm = resources.on, resources.on == SLURM
        self.attempts = resources.attempts
        self.at_once = resources.at_once or (MOST_ON_SLURM if self.on_slurm else max(1, cores() // resources.cpus))
        prepare_for_submitit(resources.cpus)
        self.executor = submitit.AutoExecutor(folder, cluster="slurm" if self.on_slurm else "local")
        self.executor.update_parameters(
            name="stack",
            timeout_min=resources.timeout_min,
            cpus_per_task=resources.cpus,
            gpus_per_node=resources.gpus,
            slurm_array_parallelism=self.at_once,
            slurm_additional_parameters={"requeue": True},
            **({} if resources.mem_gb is None else {"mem_gb": resources.mem_gb}),
            **{f"slurm_{name}": value for name in OF_SLURM if (value := getattr(resources, name)) is not None},
        )
        self._new: list[tuple[int, dict[str, Any]]] = []
        self._jobs: dict[int, submitit.Job[None]] = {}
        self._tickets = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        try:
            with interruptible():
                yield
        finally:
            for job in self._jobs.values():
                job.cancel()
            end = time.monotonic() + LONGEST_SAVE
            while any(not job.done() for job in self._jobs.values()) and time.monotonic() < end:
                time.sleep(LOOK_LOCAL)

    def submit(self, task: dict[str, Any]) -> int:
        """Collect the task; the next call of `ended` submits all collected tasks as one job array."""
        self._tickets += 1
        self._new.append((self._tickets, task))
        return self._tickets

    def ended(self, seconds: float) -> list[tuple[int, str | None]]:
        if self._new:
            try:
                with self.executor.batch():
                    jobs = [(ticket, self.executor.submit(Work(), task)) for ticket, task in self._new]
            except FailedJobError as error:
                reason = " ".join(str(error).split())
                raise ConfigError(f"hydra.launcher.on={self.on}: not submitted: {reason}") from error
            self._jobs.update(jobs)
            self._new = []
        end = time.monotonic() + seconds
        while True:
            done = [ticket for ticket, job in self._jobs.items() if job.done()]
            if done or time.monotonic() >= end:
                return [(ticket, what_was_lost(self._jobs.pop(ticket))) for ticket in done]
            time.sleep(LOOK_SLURM if self.on_slurm else LOOK_LOCAL)


def what_was_lost(job: submitit.Job[None]) -> str | None:
    """Why its process or node was lost, so that it can be resubmitted; None if it completed or raised an exception."""
    try:
        job.result()
    except FailedJobError as error:  # the job raised an exception, and would raise it again
        log.error("a stack failed: %s", str(error).strip().rpartition("\n")[2])
    except UncompletedJobError as error:
        return str(error).partition("\n")[0]
    return None
