"""Ownership of a directory: the process that works in one holds a lock there, and a second one is refused.

The lock is the operating system's (`flock`, on network file systems too), so it dies with its process however that
ends. On a file system that has no such lock, `filelock` falls back to a marker file with the process and the host,
and takes it over once that process is gone.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_mlp.config.errors import ConfigError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".in_use"

# The locks that this process holds, and how many blocks rely on each. A forked child holds none of them.
_held: dict[tuple[int, Path], tuple[BaseFileLock, int]] = {}


@contextmanager
def owned(directory: Path, name: str = "hydra.run.dir") -> Iterator[None]:
    """No other process works in `directory`, given as the option `name`, during this block; blocks may be nested.

    Raises:
        ConfigError: another process does; one line says which, where and since when.
    """
    claim(directory, name)
    try:
        yield
    finally:
        release(directory)


def claim(directory: Path, name: str = "hydra.run.dir") -> None:
    """Begin what `owned` does in a block: make the directory where there is none, and take its lock.

    Raises:
        ConfigError: as `owned`.
    """
    from filelock import FileLock, Timeout  # after the command line was found to be right

    directory.mkdir(parents=True, exist_ok=True)
    key = (os.getpid(), directory.resolve())
    lock, count = _held.get(key) or (FileLock(directory / LOCK), 0)
    if count == 0:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise ConfigError(f"{name}: {directory} is in use by {_owner(directory)}") from None
        with suppress(OSError):  # a full disk, or a lock that nobody may write to: it holds all the same
            (directory / LOCK).write_text(json.dumps(_self()) + "\n")
    _held[key] = lock, count + 1


def release(directory: Path) -> None:
    """End what `claim` began."""
    key = (os.getpid(), directory.resolve())
    lock, count = _held.pop(key)
    if count > 1:
        _held[key] = lock, count - 1
    else:
        lock.release()


def wait_until_free(directories: Sequence[Path], seconds: float) -> None:
    """Wait, at most so long in all, for other processes that work in `directories` to end."""
    from filelock import FileLock, Timeout

    end = time.monotonic() + seconds
    for lock in (directory / LOCK for directory in directories if (directory / LOCK).exists()):
        with suppress(Timeout), FileLock(lock).acquire(timeout=max(0.0, end - time.monotonic())):
            pass


def _self() -> dict[str, str | int]:
    return {"process": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}


def _owner(directory: Path) -> str:
    try:
        owner = json.loads((directory / LOCK).read_text())
        return f"process {owner['process']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # just being written, or the marker of the fallback
        return "another process"
