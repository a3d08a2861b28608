"""Where something may be written, judged before the work whose outcome goes there; and how a file is replaced."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnist_mlp.config.errors import ConfigError, SaveError


def refuse_unwritable_directory(name: str, directory: Path, what: str = "directory") -> None:
    """Raise ConfigError where `directory`, given as the option `name`, is not there and cannot be made."""
    place = next(path for path in (directory, *directory.absolute().parents) if os.path.exists(path))
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{name}: expected a place where a {what} can be made, got {directory}; {place} is not one")


def refuse_unwritable_file(name: str, path: Path) -> None:
    """Raise ConfigError where a file `path`, given as the option `name`, cannot be written."""
    if not os.path.exists(path):
        refuse_unwritable_directory(name, path.parent, "file")
    elif path.is_dir() or not os.access(path, os.W_OK):
        raise ConfigError(f"{name}: expected a file that can be written, got {path}")


@contextmanager
def written(name: str, path: Path) -> Iterator[None]:
    """Make the folders that a file `path` needs, and raise SaveError where the block cannot write it after all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SaveError(f"{name} {path}: cannot be written: {error.strerror or error}") from error


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
