"""SIGINT and SIGTERM: they end a run where it stands, but neither half way through a write nor unsaid."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from subprocess import Popen
from types import FrameType
from typing import Any

from mnist_mlp.config.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, FrameType | None], object]


def listen(handler: Handler) -> dict[signal.Signals, Handler | int | None]:
    """Send both signals to `handler` from now on; who had them before. Python lets the main thread alone do so."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in SIGNALS}


def stop_at_once(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """A signal in this block raises Interrupted there, for those around it to save and to say what happened."""
    with _heard_by(stop_at_once):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A signal in this block acts at its end."""
    received: list[int] = []
    try:
        with _heard_by(lambda number, frame: received.append(number)):
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

    with _heard_by(pass_on):
        yield
    if received:
        raise Interrupted(received[0])


@contextmanager
def _heard_by(handler: Handler) -> Iterator[None]:
    before = listen(handler)
    try:
        yield
    finally:
        for number, other in before.items():
            signal.signal(number, other)
