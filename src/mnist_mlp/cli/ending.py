"""End of a command's process: like Python's own, but without destroying the objects of torch, which takes 0.7 s.

Import this module before any that registers an exit function: Python calls these in reverse order once all threads
have ended, so that `_end` is the last.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn

_exit_code: int | None = None


def exit_process(exit_code: int) -> NoReturn:
    """End the process; the exit functions that libraries have registered are called first."""
    global _exit_code
    _exit_code = exit_code
    sys.exit(exit_code)


@atexit.register
def _end() -> None:
    if _exit_code is None:  # `exit_process` was not called
        return
    logging.shutdown()  # registered before `_end`, so Python would call it after
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(_exit_code)
