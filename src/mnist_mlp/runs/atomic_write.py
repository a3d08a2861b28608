"""Atomic writes: a file is replaced as a whole; and checks, before any work, that a place can be written to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnist_mlp.config.errors import ConfigError, SaveError

MAX_NAME_BYTES = 255
"""Longest name of a file, on all common file systems."""


def refuse_unwritable_directory(name: str, given: Path | str, what: str = "directory") -> None:
    """Raise ConfigError if the directory neither exists nor can be created.

    `name` is the key or option that gave the directory; it begins the error message.
    """
    directory = Path(given)
    if given == "":  # as from a shell variable that is not set; a Path takes it for the current directory
        raise ConfigError(f"{name}: expected a {what}, got nothing")
    _refuse_long_names(name, directory)
    above = (directory, *directory.absolute().parents)
    try:
        place = next(path for path in above if os.path.lexists(path))
        if place.is_symlink() and not place.exists():
            raise ConfigError(f"{name}: expected a place where a {what} can be made, but {place} is a link to nothing")
        possible = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:  # the path is too long, has a loop of links, or a zero byte
        raise ConfigError(f"{name}: expected a place where a {what} can be made, got {directory}: {error}") from error
    if not possible:
        raise ConfigError(f"{name}: expected a place where a {what} can be made, got {directory}; {place} is not one")


def refuse_unwritable_file(name: str, path: Path) -> None:
    """Raise ConfigError if the file `path` cannot be written; `name` is the option that gave it."""
    _refuse_long_names(name, path)
    if not os.path.exists(path):
        refuse_unwritable_directory(name, path.parent, "file")
    elif path.is_dir() or not os.access(path, os.W_OK):
        raise ConfigError(f"{name}: expected a file that can be written, got {path}")


def _refuse_long_names(name: str, path: Path) -> None:
    for part in path.parts:
        if len(os.fsencode(part)) > MAX_NAME_BYTES:
            raise ConfigError(f"{name}: expected names of at most {MAX_NAME_BYTES} bytes, got {part[:40]}...")


@contextmanager
def writing_output(name: str, path: Path) -> Iterator[None]:
    """Create the parent folders of `path`, for the block to write it; `name` is the option that gave `path`.

    Raises:
        SaveError: the file cannot be written.
    """
    with saving(path, f"{name} {path}: cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield


@contextmanager
def saving(path: Path, what: str | None = None) -> Iterator[None]:
    """Turn an OSError in the block, which writes `path`, into a SaveError with the reason in one line.

    `what` begins the message; by default it names `path`, and says that what was saved there before is kept, if so.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        kept = "; what was saved before is kept" if what is None and os.path.exists(path) else ""
        raise SaveError(f"{what or f'{path}: cannot be written'}: {reason}{kept}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which replaces `path` at the end of the block: readers never see half a file.

    If the block fails, `path` is unchanged.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
