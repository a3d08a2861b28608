"""Stacks in processes of this machine, one for each core: threads would wait for one another at every step."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from subprocess import PIPE, Popen
from typing import Any

from mnist_mlp.distributed.world import python_path
from mnist_mlp.runs.signals import SIGNALS, signals_deferred, signals_forwarded_to

MODULE = "mnist_mlp.extras.stacked_launcher.worker"
# The exit codes of processes stopped by a signal, handled (128 + n) or received before their handler existed (-n).
STOPPED = {code for number in SIGNALS for code in (128 + number, -number)}


class Worker:
    """`python -m MODULE <file descriptor>` in a session of its own, so Ctrl-C reaches only the launching process.

    When that process ends, the worker's stdin is closed and the worker stops. It imports torch while the jobs are still
    being composed.
    """

    def __init__(self) -> None:
        read, write = os.pipe()
        environment = {**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", MODULE, str(write)]
        # Blocked until `worker.main` is ready for it: while Python imports, Ctrl-C would end in a traceback.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = Popen(command, env=environment, stdin=PIPE, start_new_session=True, pass_fds=[write])
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(write)
        self.replies = os.fdopen(read, "rb")
        self.ticket: int | None = None
        """of the stack that it trains"""

    def assign(self, ticket: int, task: dict[str, Any]) -> None:
        self.ticket = ticket
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already, which its exit code will say
            self.process.stdin.write(json.dumps(task).encode() + b"\n")
            self.process.stdin.flush()

    def end(self) -> int:
        """Close its input, wait until it ends, and return its exit code."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # of a task that it has not read
            self.process.stdin.close()
        self.replies.close()
        return self.process.wait()


class Processes:
    """Backend for stacks: as many processes of this machine as suit it, each with one stack at a time."""

    attempts = 1
    """No retry: a process that died here, for example of too little memory, would die again."""

    def __init__(self, count: int) -> None:
        self.at_once = count
        self._workers = [Worker() for _ in range(count)]
        self._tickets = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        """Take stacks during the block.

        Raises:
            Interrupted: SIGINT, SIGTERM or SIGHUP came; the processes have saved what they had, and ended.
        """
        processes = [worker.process for worker in self._workers]
        try:
            with signals_forwarded_to(processes):
                self._processes = processes  # signals are forwarded to those in this list: `submit` appends to it
                yield
        finally:
            self.close()

    def close(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None and worker.ticket is None:
                worker.process.kill()  # it may still be importing torch
            worker.end()
        self._workers = []

    def submit(self, task: dict[str, Any]) -> int:
        idle = next((worker for worker in self._workers if worker.ticket is None), None)
        if idle is None:
            with signals_deferred():  # so that a signal also reaches the process being started
                idle = Worker()
                self._workers.append(idle)
                self._processes.append(idle.process)
        self._tickets += 1
        idle.assign(self._tickets, task)
        return self._tickets

    def ended(self, seconds: float) -> list[tuple[int, str | None]]:
        """Wait until a stack has ended, at most so long. Returns a list of (ticket, error).

        The error says how the process died. It is None if the stack ended normally, or was stopped by SIGINT, SIGTERM
        or SIGHUP.
        """
        busy = {worker.replies.fileno(): worker for worker in self._workers if worker.ticket is not None}
        found: list[tuple[int, str | None]] = []
        for replies in wait(list(busy), timeout=seconds):
            worker = busy[replies]  # type: ignore[index]  # `wait` returns the file descriptors that it was given
            assert worker.ticket is not None
            ticket, worker.ticket = worker.ticket, None
            if worker.replies.readline():
                found.append((ticket, None))
                continue
            code = worker.end()
            self._workers.remove(worker)
            stopped = code in STOPPED  # its jobs say so in their results
            if stopped:
                self.at_once -= 1  # no other process takes its place
            found.append((ticket, None if stopped else f"their process ended with {code}"))
        return found
