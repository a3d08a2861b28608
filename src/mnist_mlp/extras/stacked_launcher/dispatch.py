"""Dispatch: stacks of jobs handed to a backend that trains them, and again if their process or machine was lost."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, Protocol

from mnist_mlp.engine.job import Job
from mnist_mlp.extras.stacked_launcher.grouping import numbers
from mnist_mlp.runs import directories

log = logging.getLogger(__name__)

UNFINISHED = (directories.MISSING, directories.INTERRUPTED)
MINUTE = 60


class Backend(Protocol):
    """Where stacks are trained: processes of this machine, or jobs of a cluster."""

    at_once: int
    """how many stacks it can hold at the same time; it falls with each process that a signal has stopped"""
    attempts: int
    """how many times a stack is started at most, restarts after a lost process or machine included"""

    def open(self) -> AbstractContextManager[None]: ...

    def submit(self, task: dict[str, Any]) -> int:
        """Start a stack; returns the ticket by which `ended` names it."""

    def ended(self, seconds: float) -> list[tuple[int, str | None]]:
        """Wait at most `seconds` for a stack to end.

        Return (ticket, reason) for each one that did; the reason says how it was lost, None if it was not.
        """


def train(
    stacks: Sequence[Sequence[Job]],
    backend: Backend,
    *,
    prepare: Callable[[Sequence[Job]], Sequence[Job]] = lambda stack: stack,
    console: dict[str, Any] | None = None,
) -> None:
    """Train all stacks. Once a minute a line tells how many jobs are done.

    Args:
        prepare: what is to be done before a stack is handed out, and not earlier: a sweep may have many.
        console: logging configuration for the processes that train, as `logging.config.dictConfig` takes it; None:
            they print nothing.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came; those who train have saved what they had.
    """
    progress = Progress(sum(map(len, stacks)))
    waiting = deque((number, stack, 1) for number, stack in enumerate(stacks, start=1))
    running: dict[int, tuple[int, Sequence[Job], int, list[float]]] = {}
    drawing: int | None = None  # the ticket of the stack that draws the progress bar, one for all
    with backend.open():
        # at_once = 0: nothing is left to train those that wait; the sweep reports them as not completed.
        while (waiting and backend.at_once > 0) or running:
            while waiting and len(running) < backend.at_once:
                number, stack, attempt = waiting.popleft()
                ready = prepare(stack) if attempt == 1 else stack
                title = f"stack {number}/{len(stacks)} " if len(stacks) > backend.at_once else ""
                ticket = backend.submit(_task(ready, console, bar=None if drawing in running else title))
                drawing = drawing if drawing in running else ticket
                running[ticket] = number, ready, attempt, [_written(job) for job in ready]
            for ticket, lost in backend.ended(progress.seconds_to_next_line()):
                number, stack, attempt, before = running.pop(ticket)
                left = _unfinished(stack, before) if lost else []
                if left and attempt < backend.attempts:
                    log.warning("jobs %s are started again: %s", numbers(left), lost)
                    waiting.appendleft((number, stack, attempt + 1))
                    continue
                if left:
                    log.error("jobs %s are lost: %s", numbers(left), lost)
                progress.add(len(stack))
            progress.tell()


def _written(job: Job) -> float:
    """When the result of a job was written; 0 if there is none."""
    try:
        return (job.directory / directories.RESULT).stat().st_mtime
    except OSError:
        return 0.0


def _unfinished(stack: Sequence[Job], before: Sequence[float]) -> list[Job]:
    """The jobs of a lost stack that are not at their end.

    A failed job is at its end only if its result was written after the stack was handed out; `before` has the times of
    earlier results.
    """
    statuses = [directories.read(job.directory).status for job in stack]
    return [
        job
        for job, status, earlier in zip(stack, statuses, before, strict=True)
        if status in UNFINISHED or (status == directories.FAILED and _written(job) == earlier)
    ]


def _task(stack: Sequence[Job], console: dict[str, Any] | None, bar: str | None) -> dict[str, Any]:
    """What `worker.work` takes: plain values, which can be sent anywhere."""
    return {
        "console": console,
        "bar": bar,
        "stack": [{**asdict(job), "directory": str(job.directory)} for job in stack],
    }


class Progress:
    """How many jobs are done, and when the rest will be, in a line once a minute."""

    def __init__(self, jobs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.jobs, self.done, self.clock = jobs, 0, clock
        self.began = self.told = clock()

    def add(self, jobs: int) -> None:
        self.done += jobs

    def seconds_to_next_line(self) -> float:
        return max(0.0, self.told + MINUTE - self.clock())

    def tell(self) -> None:
        now = self.clock()
        if now - self.told < MINUTE or self.done == self.jobs:
            return
        self.told = now
        rest = ""
        if self.done:
            minutes = (now - self.began) / self.done * (self.jobs - self.done) / 60
            rest = f", the rest in about {minutes:.0f} min" if minutes < 100 else f", the rest in {minutes / 60:.1f} h"
        log.info("%s of %s jobs done%s", f"{self.done:,}", f"{self.jobs:,}", rest)
