"""Worker: trains a stack, anywhere; `python -m mnist_mlp.extras.stacked_launcher.worker` does so on this machine.

A stack that was begun before, here or on a machine that was lost, goes on from its checkpoints.
"""

from __future__ import annotations

import gc
import json
import logging
import logging.config
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from mnist_mlp.cli.ending import exit_process
from mnist_mlp.cli.exit_codes import exit_codes, system_error
from mnist_mlp.config.errors import UserError
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import Config
from mnist_mlp.engine.job import Job
from mnist_mlp.extras.stacked_launcher.grouping import numbers
from mnist_mlp.runs import directories
from mnist_mlp.runs.directory_lock import wait_until_free

log = logging.getLogger(__name__)

# Seconds to wait for a previous worker that still runs although the cluster has lost contact with its machine.
LONGEST_END = 60


def work(task: dict[str, Any]) -> None:
    """Train the jobs of one stack that are not complete."""
    from mnist_mlp.engine.common_checkpoints import group_by_saved_step

    if task["console"]:
        logging.config.dictConfig(task["console"])
    jobs = [_job(given) for given in task["stack"]]
    due = [job for job in jobs if directories.read(job.directory).status != directories.COMPLETED]
    wait_until_free([job.directory for job in due], LONGEST_END)
    try:
        parts = group_by_saved_step(due)
    except UserError as error:  # a checkpoint of one of them cannot be resumed from
        log.error("jobs %s failed: %s", numbers(due), error)
        return
    for part in parts:
        _attempt(part, task["bar"])
        gc.collect()  # the stack and its data set


def _attempt(jobs: list[Job], bar: str | None) -> None:
    """Train jobs side by side. An error is logged, and, once training has begun, written to each job's result."""
    from mnist_mlp.engine.train_stack import train_stack

    try:
        train_stack(jobs, bar=bar, threads=1)  # as in any stack, also for the only network that is left of one
    except UserError as error:
        log.error("jobs %s failed: %s", numbers(jobs), error)
    except Exception as error:
        if (reason := system_error(error, jobs[0].directory)) is not None:
            log.error("jobs %s failed: %s", numbers(jobs), reason)
        else:
            log.exception("jobs %s failed", numbers(jobs))


def _job(given: dict[str, Any]) -> Job:
    config, directory = from_dict(given["config"], Config), Path(given["directory"])
    if directories.has_begun(directory):  # a job that was stopped goes on
        config = replace(config, resume=str(directory))
    return Job(number=given["number"], config=config, directory=directory, logging=given["logging"])


def main() -> NoReturn:
    """Train the stacks that arrive on standard input, one JSON line each.

    After each, write a line to the file descriptor given as the argument.
    """
    # Ctrl-C ends a worker that trains nothing without a word, as SIGTERM does; `worker_pool` started it with the signal
    # blocked.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    tasks = Tasks()
    with exit_codes():
        from mnist_mlp.engine.train_stack import gc_frozen  # imports torch and Lightning

        with gc_frozen(), os.fdopen(int(sys.argv[1]), "w") as replies:
            for task in tasks:
                work(task)
                tasks.busy = False
                print("done", file=replies, flush=True)
    exit_process(0)


class Tasks:
    """Stacks to train, read from standard input by a thread.

    If the input ends during training, the launching process has died: the thread then sends this process SIGTERM.
    """

    def __init__(self) -> None:
        self.busy = False
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self.busy = True  # from here on: the main thread may still be importing torch when the input ends
            self._lines.put(line)
        self._lines.put("")
        if self.busy:
            os.kill(os.getpid(), signal.SIGTERM)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while line := self._lines.get():
            yield json.loads(line)


if __name__ == "__main__":
    main()
