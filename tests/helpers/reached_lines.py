"""Lines of the package that a process and its children reach, written to a file as each is reached first.

A copy of this file named sitecustomize.py, in a folder of PYTHONPATH, records in every interpreter that starts.
"""

from __future__ import annotations

import os
import sys
import threading
from types import FrameType
from typing import Any


def record(package: str, log: str) -> None:
    seen: set[tuple[str, int]] = set()

    def enter(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename.startswith(package) else None

    def line(frame: FrameType, event: str, _: object) -> Any:
        place = (frame.f_code.co_filename, frame.f_lineno)
        if place not in seen:
            seen.add(place)
            # Opened each time: tests fork, close descriptors and kill processes.
            descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(descriptor, f"{place[1]} {place[0]}\n".encode())
            os.close(descriptor)
        return line

    threading.settrace(enter)
    sys.settrace(enter)


if "REACHED_LINES" in os.environ:
    record(os.environ["REACHED_PACKAGE"], os.environ["REACHED_LINES"])
