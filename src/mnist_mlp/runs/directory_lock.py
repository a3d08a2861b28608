"""Lock on a directory: one process works in it, a second one is refused.

The lock is that of the operating system (`flock`), so it ends with its process. On a file system without `flock`,
`filelock` writes a file with process and host; some time after that process has ended, it treats the file as stale.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs.atomic_write import refuse_unwritable_directory

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".in_use"

# Locks of this process (by its id, as a forked child holds none of them), each with its nesting depth.
_held: dict[tuple[int, Path], tuple[BaseFileLock, int]] = {}
# Directories that `acquire` has created, so that everything in them was written afterwards.
_created: set[Path] = set()


@contextmanager
def locked(directory: Path, name: str = "hydra.run.dir") -> Iterator[None]:
    """Hold the lock on `directory` during the block; blocks may be nested.

    `name` is the configuration key that gave the directory; it begins the error message.

    Raises:
        ConfigError: another process holds it; the message says which one, and since when.
    """
    acquire(directory, name)
    try:
        yield
    finally:
        release(directory)


def acquire(directory: Path, name: str = "hydra.run.dir") -> None:
    """Create the directory if necessary, and lock it until `release`.

    Raises:
        ConfigError: as `locked`, or no directory can be made there.
    """
    from filelock import FileLock, SoftFileLock, Timeout  # imported here, so that --help does not wait for it

    refuse_unwritable_directory(name, directory)
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        _created.add(directory.resolve())
    key = (os.getpid(), directory.resolve())
    lock, count = _held.get(key) or (FileLock(directory / LOCK), 0)
    if count == 0:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise ConfigError(f"{name}: {directory} is in use by {_owner(directory)}") from None
        # On a file system without flock, `acquire` has made it a SoftFileLock, which writes this file itself.
        if not isinstance(lock, SoftFileLock):
            with suppress(OSError):  # the lock holds, even if its file cannot be written
                (directory / LOCK).write_text(json.dumps(_self()) + "\n")
    _held[key] = lock, count + 1


def release(directory: Path) -> None:
    """Release the lock taken by `acquire`."""
    key = (os.getpid(), directory.resolve())
    lock, count = _held.pop(key)
    if count > 1:
        _held[key] = lock, count - 1
    else:
        lock.release()


def remove_if_nothing_but(directory: Path, *names: str) -> None:
    """Remove a directory that `acquire` has created, if nothing but `names` and the lock is in it."""
    if directory.resolve() in _created and {path.name for path in directory.iterdir()} <= {LOCK, *names}:
        shutil.rmtree(directory, ignore_errors=True)


def wait_until_free(directories: Sequence[Path], seconds: float) -> None:
    """Wait until no other process holds the lock on one of `directories`, but at most `seconds` in total."""
    from filelock import FileLock, Timeout

    end = time.monotonic() + seconds
    for lock in (directory / LOCK for directory in directories if (directory / LOCK).exists()):
        with suppress(Timeout), FileLock(lock).acquire(timeout=max(0.0, end - time.monotonic())):
            pass


def last_locked() -> Path | None:
    """The directory that this process has locked last, if it holds any."""
    return next((path for process, path in reversed(_held) if process == os.getpid()), None)


def _self() -> dict[str, str | int]:
    return {"process": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}


def _owner(directory: Path) -> str:
    try:
        owner = json.loads((directory / LOCK).read_text())
        return f"process {owner['process']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # not written yet, or a marker file of `filelock`
        return "another process"
