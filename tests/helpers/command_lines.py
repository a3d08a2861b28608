"""What a command answers to many command lines, for the price of starting it once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mnist_mlp.config.schema import PROJECT

# Does what every command does that reads its words, then forks a process for each command line.
PROGRAM = """
import gc, json, os, runpy, signal, sys
import hydra, mnist_mlp.cli.app, numpy
from mnist_mlp.config.schema import CONFIGS

gc.disable()  # would go through all that was imported, in each process anew
with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
    hydra.compose("train", ["model.hidden=[8,4]"])
script, folder, lines = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
running, codes = {}, [0] * len(lines)

def wait():
    child, status = os.wait()
    codes[running.pop(child)] = os.waitstatus_to_exitcode(status)

for number, line in enumerate(lines):
    if len(running) == (os.cpu_count() or 1):
        wait()
    child = os.fork()
    if not child:
        signal.alarm(100)  # one that hangs is killed, and the others are answered
        for descriptor, name in ((1, "out"), (2, "error")):
            os.dup2(os.open(f"{folder}/{number}.{name}", os.O_WRONLY | os.O_CREAT), descriptor)
        sys.argv = [script, *(line.split() if isinstance(line, str) else line)]
        runpy.run_path(script, run_name="__main__")
        sys.exit()
    running[child] = number
while running:
    wait()
print(json.dumps(codes))
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    error: str


def ask(command: str, lines: Iterable[str | list[str]], *, modules: Path | None = None) -> list[Answer]:
    """The answers of `src/<command>.py`, in the order of the lines; in a line of text, words are parted by spaces.

    `modules` is a folder whose modules are imported instead of the installed ones.
    """
    path = [str(folder) for folder in (modules, PROJECT / "src") if folder is not None]
    with tempfile.TemporaryDirectory() as folder:
        words = [str(PROJECT / "src" / f"{command}.py"), folder, json.dumps(list(lines))]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return [
            Answer(code, *(Path(folder, f"{number}.{name}").read_text() for name in ("out", "error")))
            for number, code in enumerate(json.loads(done.stdout))
        ]
