"""Console: log lines above a progress bar, and standard output that cannot be written.

Standard output may be closed (`>&-`), full (`>/dev/full`), no longer read (`| head -1`), or lack characters in its
encoding. A command that prints a result then ends with exit code 1, a training run continues; neither prints a
traceback.
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

# Replacements for the characters beyond ASCII that the commands print, for encodings without them.
PLAIN = {"±": "+-", "–": "-", "—": "-", "…": "...", "×": "x", "·": ".", "→": "->", "≥": ">=", "≤": "<=", "█": "#"}


def open_streams() -> None:
    """Make standard output and error accept any text, even if they are closed or their encoding lacks characters."""
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
def exit_if_output_fails() -> Iterator[None]:
    """Exit with code 1 if standard output cannot be written in the block; the reason goes to standard error."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # else Python would print the error when the process ends
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
    """Handler that prints log records; if that fails, it stops printing and the run continues.

    On a terminal a line replaces the progress bar, which is then drawn again below it: at once if this process draws
    the bar, otherwise with the next update of the process that does.
    """

    def emit(self, record: logging.LogRecord) -> None:
        bars = sys.modules.get("tqdm")  # None: without tqdm there is no bar
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
    """Handler that writes a log file; if the disk is full, it prints one line, and the run continues."""

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
    """Whether the error came from standard output: then writing to it again fails too."""
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
