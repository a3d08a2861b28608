"""Stacks in processes of their own, one for each core: threads would wait for one another at every step."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from subprocess import PIPE, Popen
from typing import Any

from mnist_mlp.distributed.world import python_path
from mnist_mlp.engine.job import Job
from mnist_mlp.extras.stacked_launcher.grouping import numbers, stacks_at_once
from mnist_mlp.runs import directories as runs
from mnist_mlp.runs.signals import passed_on, uninterrupted

log = logging.getLogger(__name__)

Stacks = Sequence[Sequence[Job]]
Worker = Popen[bytes]


def begin(count: int) -> list[Worker]:
    """Start as many processes as `train` will want. They import torch while it is still found out what they train, and
    end by themselves if this process does.
    """
    return [start("mnist_mlp.extras.stacked_launcher.worker") for _ in range(count)]


def start(module: str) -> Worker:
    """`python -m module` in a session of its own: Ctrl-C reaches this process alone, whose end closes its input."""
    environment = {**os.environ, "PYTHONPATH": python_path()}
    return Popen([sys.executable, "-m", module], env=environment, stdin=PIPE, start_new_session=True)


def train(stacks: Stacks, console: dict[str, Any] | None = None, begun: Sequence[Worker] = ()) -> None:
    """Train all stacks, as many at once as suits the device.

    Args:
        console: where the processes say how far they are, as `logging.config.dictConfig` takes it; None: nowhere.
        begun: processes from `begin`; they have ended afterwards.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the processes have saved what they had, and ended.
    """
    count = min(len(stacks), stacks_at_once(stacks[0][0].config)) if stacks else 0
    shares = [stacks[number::count] for number in range(count)]
    for idle in begun[count:]:
        idle.kill()
        _part(idle)
    workers = list(begun[:count])
    try:
        with passed_on(workers):
            with uninterrupted():  # else a signal would miss those that are still to be started
                workers.extend(begin(count - len(workers)))
            for worker, share in zip(workers, shares, strict=True):
                _order(worker, share, console)
            codes = [worker.wait() for worker in workers]
    finally:
        for worker in workers:
            _part(worker)
    for share, code in zip(shares, codes, strict=True):
        lost = [job for stack in share for job in stack if runs.read(job.directory).status == runs.MISSING]
        if lost:
            sweep = runs.shown(lost[0].directory.parent)
            log.error("jobs %s are lost: their process ended with %s; resume=%s", numbers(lost), code, sweep)


def _order(worker: Worker, share: Stacks, console: dict[str, Any] | None) -> None:
    stacks = [[{**asdict(job), "directory": str(job.directory)} for job in stack] for stack in share]
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # it has ended already, which its exit code will say
        worker.stdin.write(json.dumps({"console": console, "stacks": stacks}).encode() + b"\n")
        worker.stdin.flush()


def _part(worker: Worker) -> None:
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # of an order that it has not read
        worker.stdin.close()
    worker.wait()
