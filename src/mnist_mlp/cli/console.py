"""The console: log lines beside a progress bar, and standard output that cannot be written.

It may be closed (`>&-`), full (`>/dev/full`), no longer read (`| head -1`), or in an encoding that lacks characters. A
command that prints then ends, a training run continues, and neither shows a traceback.
"""

from __future__ import annotations

import codecs
import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

# What we print beyond ASCII, for terminals that know nothing else.
PLAIN = {"±": "+-", "–": "-", "—": "-", "…": "...", "×": "x", "·": ".", "→": "->", "≥": ">=", "≤": "<=", "█": "#"}


def open_streams() -> None:
    """Make standard output and error take any text, also where they are closed or their encoding lacks letters."""
    codecs.register_error("plain", _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeEncodeError):
        letters = error.object[error.start : error.end]
        if all(letter in PLAIN for letter in letters):
            return "".join(PLAIN[letter] for letter in letters), error.end
    return codecs.backslashreplace_errors(error)


@contextmanager
def silent_without_reader() -> Iterator[None]:
    """End with exit code 1 where what the block prints cannot be written, and say so where somebody may read it."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # or Python itself would find out, and say so, when it ends
    except OSError as error:
        if error.filename is not None or not _is_of_output(error):
            raise
        _discard_output()
        if not isinstance(error, BrokenPipeError):
            with suppress(OSError):
                print(f"standard output: cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(1)


ERASED_LINE = "\r\x1b[K"


class Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Prints what is logged for as long as it can be written: a run goes on without.

    On a terminal a line takes the place of a progress bar, which is drawn again below: at once where it is one of this
    process, and else by the process that draws it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        bars = sys.modules.get("tqdm")  # not imported: there is no bar
        with bars.tqdm.external_write_mode(file=self.stream) if bars else nullcontext():
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        on_terminal = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        return ERASED_LINE + line if on_terminal else line

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        if isinstance(sys.exc_info()[1], OSError):
            _discard_output()
        else:
            super().handleError(record)


class LogFile(logging.FileHandler):
    """Writes a log for as long as the disk has room, then prints one line: a run goes on without."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.failed:
            self.failed = True
            with suppress(OSError, ValueError):
                print(f"{self.baseFilename}: cannot be written: {error.strerror}", file=sys.stderr)


def _is_of_output(error: OSError) -> bool:
    """Whether the error is one of standard output: then writing to it again fails, too."""
    if isinstance(error, BrokenPipeError):
        return True
    if error.errno not in (errno.ENOSPC, errno.EBADF, errno.EIO):
        return False
    try:
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), b"\n")
    except (OSError, ValueError):
        return True
    return False


def _discard_output() -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
