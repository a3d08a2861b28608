"""Output whose reader has gone, as in `... | head -1`: a command ends there, a run goes on; neither complains."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_without_reader() -> Iterator[None]:
    """End with exit code 1 where nobody reads any more what the block prints."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # or Python itself would find out, and say so, when it ends
    except BrokenPipeError:
        _discard_output()
        sys.exit(1)


class Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Prints what is logged for as long as somebody reads it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            _discard_output()
        else:
            super().handleError(record)


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
