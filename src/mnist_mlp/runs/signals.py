"""Signals that stop a run: SIGINT (Ctrl-C), SIGTERM (kill, or the scheduler of a cluster), SIGHUP (terminal closed).

They raise `Interrupted`, so that the run saves its state and its result; never in the middle of a write.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from subprocess import Popen
from types import FrameType
from typing import Any

from mnist_mlp.config.errors import Interrupted

SIGNALS = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

Handler = Callable[[int, FrameType | None], object]


def install_handlers(handler: Handler) -> dict[signal.Signals, Handler | int | None]:
    """Install `handler` for these signals; returns the handlers before.

    Does nothing outside of the main thread. An ignored signal stays ignored: `nohup` ignores SIGHUP.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    not_ignored = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in not_ignored}


def stop_at_once(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def ignore_signals(worker: int) -> None:
    """`worker_init_fn` of a DataLoader: the main process handles signals, and ends the workers."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interruptible() -> Iterator[None]:
    """A signal in this block raises Interrupted."""
    with _handled_by(stop_at_once):
        yield


@contextmanager
def second_signal_ends_process() -> Iterator[None]:
    """A second signal in this block ends the process within a second or so, even if no handler of Python can run.

    No handler runs while the main thread waits in a collective operation of torch, perhaps for a rank that hangs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _keep_signals_of_children_apart()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # Python writes the number of each signal at once
    threading.Thread(target=_end_at_second, args=(reading,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)


@functools.cache
def _keep_signals_of_children_apart() -> None:
    """A forked child inherits the pipe, into which its signals would be written too."""
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))


def _end_at_second(reading: int) -> None:
    received = 0
    with os.fdopen(reading, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            received += number[0] in SIGNALS
            if received == 2:
                time.sleep(1)  # for the handlers, if they can run
                os._exit(128 + number[0])


@contextmanager
def signals_deferred() -> Iterator[None]:
    """A signal in this block is delivered at its end."""
    received: list[int] = []
    try:
        with _handled_by(lambda number, frame: received.append(number)):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


@contextmanager
def signals_forwarded_to(processes: Sequence[Popen[Any]]) -> Iterator[None]:
    """A signal in this block, which waits for `processes`, is forwarded to them; the block ends with Interrupted.

    If the block raises something else, that is raised.
    """
    received: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)

    with _handled_by(forward):
        yield
    if received:
        raise Interrupted(received[0])


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    before = install_handlers(handler)
    try:
        yield
    finally:
        for number, other in before.items():
            signal.signal(number, other)
