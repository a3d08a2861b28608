"""Stacks as tasks of Ray: on a cluster of any kind, or on this machine.

If the worker or node of a task is lost, Ray starts the task again, on another node if need be; the stack goes on from
its checkpoints.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from mnist_mlp.distributed.world import python_path
from mnist_mlp.extras.stacked_launcher.backends import LONGEST_SAVE, Resources
from mnist_mlp.runs.signals import interruptible

# Tasks submitted per free slot: one runs and one waits. A cluster that grows with its queue needs to see a queue.
QUEUED = 2


def work_remotely(task: dict[str, Any]) -> None:
    from mnist_mlp.extras.stacked_launcher.worker import work  # imports torch, so only where there is training to do

    work(task)


class RayTasks:
    """Backend for stacks: tasks of a Ray cluster, one for each of them."""

    attempts = 1
    """`dispatch` hands each stack out once; Ray makes the retries itself."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.at_once = 1
        self._running: dict[Any, int] = {}
        self._tickets = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        given = self.resources
        # Ray then leaves CUDA_VISIBLE_DEVICES alone for tasks without a GPU.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        environment = {"PYTHONPATH": python_path(), "OMP_NUM_THREADS": str(given.cpus), "OMP_WAIT_POLICY": "PASSIVE"}
        begun = not ray.is_initialized()
        if begun:
            ray.init(
                address=given.address or "local",
                include_dashboard=False if given.address is None else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": environment},
            )
        options = {"num_cpus": given.cpus, "num_gpus": given.gpus, "max_retries": given.attempts - 1}
        self.remote_work = ray.remote(**options)(work_remotely)
        self.at_once = given.at_once or QUEUED * max(1, int(ray.cluster_resources().get("CPU", 1)) // given.cpus)
        try:
            with interruptible():
                yield
        finally:
            for started in self._running:
                ray.cancel(started)  # as Ctrl-C would: it saves and ends
            if self._running:
                ray.wait(list(self._running), num_returns=len(self._running), timeout=LONGEST_SAVE)
            if begun:
                ray.shutdown()

    def submit(self, task: dict[str, Any]) -> int:
        self._tickets += 1
        self._running[self.remote_work.remote(task)] = self._tickets
        return self._tickets

    def ended(self, seconds: float) -> list[tuple[int, str | None]]:
        done, _ = ray.wait(list(self._running), timeout=seconds)
        return [(self._running.pop(started), _lost(started)) for started in done]


def _lost(started: Any) -> str | None:
    """Why the task failed or was lost; None if it completed."""
    try:
        ray.get(started)
    except RayError as error:
        return str(error).strip().partition("\n")[0]
    return None
