"""The end of a command's process: as Python ends, but without destroying every object of torch, which takes 0.7 s.

Imported before anything that has something to do at the end of the process, so that `_end` comes after it: Python calls
what was registered in reverse order, once all threads have ended.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn

_exit_code: int | None = None


def leave(exit_code: int) -> NoReturn:
    """End the process, and call what libraries have registered for its end."""
    global _exit_code
    _exit_code = exit_code
    sys.exit(exit_code)


@atexit.register
def _end() -> None:
    if _exit_code is None:  # the process ends in another way, or is no command
        return
    logging.shutdown()  # registered earlier, so it would come later
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(_exit_code)
