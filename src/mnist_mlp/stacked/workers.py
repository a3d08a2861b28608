"""Stacks in processes of their own, one for each core: threads would wait for one another at every step."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mnist_mlp import runs
from mnist_mlp.processes import python_path
from mnist_mlp.signals import passed_on
from mnist_mlp.stacked.grouping import Job, numbers, stacks_at_once

log = logging.getLogger(__name__)

Stacks = Sequence[Sequence[Job]]


def train(stacks: Stacks, console: dict[str, Any] | None = None) -> None:
    """Train all stacks, as many at once as suits the device.

    Args:
        console: where the processes say how far they are, as `logging.config.dictConfig` takes it; None: nowhere.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the processes have saved what they had, and ended.
    """
    if not stacks:
        return
    count = min(len(stacks), stacks_at_once(stacks[0][0].config))
    shares = [stacks[number::count] for number in range(count)]
    workers = [_start() for _ in shares]
    try:
        with passed_on(workers):
            for worker, share in zip(workers, shares, strict=True):
                _order(worker, share, console)
            codes = [worker.wait() for worker in workers]
    finally:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
            worker.wait()
    for share, code in zip(shares, codes, strict=True):
        lost = [job for stack in share for job in stack if runs.read(job.directory).status == runs.MISSING]
        if lost:
            sweep = runs.shown(lost[0].directory.parent)
            log.error("jobs %s are lost: their process ended with %s; resume=%s", numbers(lost), code, sweep)


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mnist_mlp.stacked.worker"],
        env={**os.environ, "PYTHONPATH": python_path()},
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
    )


def _order(worker: subprocess.Popen[str], share: Stacks, console: dict[str, Any] | None) -> None:
    stacks = [[{**asdict(job), "directory": str(job.directory)} for job in stack] for stack in share]
    assert worker.stdin is not None
    try:
        worker.stdin.write(json.dumps({"console": console, "stacks": stacks}) + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        """It has ended already, which its exit code will say."""
