"""Work in processes of their own that can be killed. Forked, they need not import torch again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch


def in_child(work: Callable[[], object]) -> int:
    """Fork a process that does the work and ends, with 0 or, where it failed, with 1; its process id."""
    child = os.fork()
    if child:
        return child
    torch.set_num_threads(1)  # those that this process had are not in its child, which would wait for them for ever
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(f"child: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)


def children(process: int) -> list[int]:
    """The ids of the processes that a process has started, on Linux."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
