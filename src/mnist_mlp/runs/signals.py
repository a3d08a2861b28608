"""Signals that stop a run: it ends where it stands, but neither half way through a write nor without a word.

SIGINT is Ctrl-C, SIGTERM asks to end, SIGHUP comes when the terminal is closed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from subprocess import Popen
from types import FrameType
from typing import Any

from mnist_mlp.config.errors import Interrupted

SIGNALS = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

Handler = Callable[[int, FrameType | None], object]


def listen(handler: Handler) -> dict[signal.Signals, Handler | int | None]:
    """Call `handler` at these signals from now on; returns who was called before.

    Only the main thread may do so. A signal that is ignored stays so: `nohup` wants that of SIGHUP.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    heeded = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heeded}


def stop_at_once(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """A signal in this block raises Interrupted there, for those around it to save and to say what happened."""
    with _handled_by(stop_at_once):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A signal in this block acts at its end."""
    received: list[int] = []
    try:
        with _handled_by(lambda number, frame: received.append(number)):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


@contextmanager
def passed_on(processes: Sequence[Popen[Any]]) -> Iterator[None]:
    """A signal in this block goes to these processes, which are waited for there; at its end it raises Interrupted."""
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)

    with _handled_by(pass_on):
        yield
    if received:
        raise Interrupted(received[0])


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    before = listen(handler)
    try:
        yield
    finally:
        for number, other in before.items():
            signal.signal(number, other)
