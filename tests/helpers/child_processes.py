"""Work in processes of their own that can be killed. Forked, they need not import torch again."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
import traceback
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


def command_in_child(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`python script words` in a fork of this process, for a command that imports little: its exit code and output."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("out", "error")]
        child = os.fork()
        if not child:
            for descriptor, file in zip((1, 2), files, strict=True):
                os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            sys.argv, code = [str(script), *words], 0
            try:
                runpy.run_path(str(script), run_name="__main__")
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            except BaseException:
                traceback.print_exc()
                code = 1
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return subprocess.CompletedProcess(sys.argv, code, *(file.read_text() for file in files))


def children(process: int) -> list[int]:
    """The ids of the processes that a process has started, on Linux."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
