"""A disk that fails: the n-th time that a file is opened to be written, replaced, or a folder made, below a place.

Python imports this at its start, where its folder is in PYTHONPATH. FAULT=<number of the error>:<n>:<place>; with an
`f` behind the number, every later time too.
"""

import builtins
import io
import os

number, turn, place = os.environ.get("FAULT", "0:0:").split(":", 2)
opened, calls = io.open, [0]


def fail(path: object) -> None:
    if isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(place):
        calls[0] += 1
        if calls[0] == int(turn) or (number.endswith("f") and calls[0] > int(turn)):
            code = int(number.rstrip("f"))
            raise OSError(code, os.strerror(code), os.fspath(path))


def failing_open(path, mode="r", *more, **named):  # type: ignore[no-untyped-def]
    if set(mode) & set("wax+"):
        fail(path)
    return opened(path, mode, *more, **named)


def failing(function):  # type: ignore[no-untyped-def]
    def call(path, *more, **named):  # type: ignore[no-untyped-def]
        fail(path)
        return function(path, *more, **named)

    return call


if place:
    io.open = builtins.open = failing_open
    for name in ("mkdir", "replace", "link"):
        setattr(os, name, failing(getattr(os, name)))
