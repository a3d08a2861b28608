"""Where something may be written, judged before the work whose outcome goes there; and how a file is replaced."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnist_mlp.config.errors import ConfigError, SaveError

LONGEST_NAME = 255
"""Bytes in the name of a file, on every file system in common use."""


def refuse_unwritable_directory(name: str, directory: Path, what: str = "directory") -> None:
    """Raise ConfigError where `directory`, given as the option `name`, is not there and cannot be made."""
    for part in directory.parts:
        if len(os.fsencode(part)) > LONGEST_NAME:
            raise ConfigError(f"{name}: expected names of at most {LONGEST_NAME} bytes, got {part[:40]}...")
    above = (directory, *directory.absolute().parents)
    try:
        place = next(path for path in above if os.path.lexists(path))
        if place.is_symlink() and not place.exists():
            raise ConfigError(f"{name}: expected a place where a {what} can be made, but {place} is a link to nothing")
        possible = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:  # too long as a whole, a loop of links, a zero byte
        raise ConfigError(f"{name}: expected a place where a {what} can be made, got {directory}: {error}") from error
    if not possible:
        raise ConfigError(f"{name}: expected a place where a {what} can be made, got {directory}; {place} is not one")


def refuse_unwritable_file(name: str, path: Path) -> None:
    """Raise ConfigError where a file `path`, given as the option `name`, cannot be written."""
    if not os.path.exists(path):
        refuse_unwritable_directory(name, path.parent, "file")
    elif path.is_dir() or not os.access(path, os.W_OK):
        raise ConfigError(f"{name}: expected a file that can be written, got {path}")


@contextmanager
def written(name: str, path: Path) -> Iterator[None]:
    """Make the folders that a file `path`, given as the option `name`, needs, and raise SaveError where the block
    cannot write it after all.
    """
    with saving(path, f"{name} {path}: cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield


@contextmanager
def saving(path: Path, what: str | None = None) -> Iterator[None]:
    """Raise SaveError, one line that says why, where the block cannot write `path`: the disk is full, or there is no
    permission.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        kept = f"{path}: cannot be written: {reason}; what was saved before is kept"
        raise SaveError(f"{what}: {reason}" if what else kept) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place when the block ends: whoever reads `path` finds it whole.

    Where the block fails, `path` stays as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
