"""Commands as processes of their own, without the seconds in which each would import torch and Lightning.

They are forked from a process that has imported what others wrote and nothing of ours, so that a command finds the
modules, configurations and directories that it would find from a shell.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import site
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.standby import stand_by

PROJECT = Path(__file__).parents[2]  # not from our package: a copy of the project has to import its own

_OURS = tuple(str(PROJECT / folder) for folder in ("src", "tests", "docs"))

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "hydra.main", "lightning.pytorch.loggers", "tensorboard", "matplotlib.pyplot"])


class Command:
    """`python script words` at work, with the names that `subprocess.Popen` has for the same things."""

    def __init__(
        self,
        script: str | Path,
        *words: str,
        cwd: Path | None = None,
        workers: int = 0,
        below: int = 0,
        **environment: str,
    ) -> None:
        """`environment` is beside the variables of this process.

        `workers` processes stand by to be what the command starts, and `below` of them for what each of these starts.
        """
        self.args = [str(script), *words]
        self._said = tempfile.TemporaryDirectory()
        self._files = tuple(Path(self._said.name, name) for name in ("out", "error"))
        place, variables = cwd or Path.cwd(), {**os.environ, **environment}
        self._process = _FORKS.Process(
            target=_become, args=(self.args, place, variables, self._files, workers, below), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        with self._said:
            self._process.kill()
            self._process.join()

    def communicate(self, timeout: float = 250) -> tuple[str, str]:
        """Wait for the end, at most `timeout` seconds; what was written to the output and to the errors."""
        with self._said:
            self._process.join(timeout)
            if self._process.exitcode is None:
                self._process.kill()
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = self._process.exitcode
            out, error = (path.read_text() for path in self._files)
            return out, error


def run(script: str | Path, *words: str, cwd: Path | None = None, workers: int = 0) -> subprocess.CompletedProcess[str]:
    command = Command(script, *words, cwd=cwd, workers=workers)
    out, error = command.communicate()
    return subprocess.CompletedProcess(command.args, command.returncode, out, error)


def start_training(*words: str, modules: Path | None = None, workers: int = 0, below: int = 0) -> Command:
    """`train.py` on one thread. `modules` is a folder with a sitecustomize.py, which every process imports first."""
    path = {"PYTHONPATH": os.pathsep.join([str(modules), str(PROJECT / "src")])} if modules else {}
    return Command(PROJECT / "src" / "train.py", *words, workers=workers, below=below, OMP_NUM_THREADS="1", **path)


def train(*words: str, modules: Path | None = None, workers: int = 0, below: int = 0) -> tuple[int, str]:
    """The exit code of `train.py`, and all that it printed."""
    process = start_training(*words, modules=modules, workers=workers, below=below)
    output = "".join(process.communicate())
    return process.returncode, output


def _become(
    words: list[str], place: Path, variables: dict[str, str], files: tuple[Path, Path], workers: int, below: int
) -> None:
    """Go on as the interpreter does that was started with these words, in this place, with these variables."""
    gc.freeze()  # what was imported before: to traverse it would also copy the memory that it shares
    for descriptor, path in zip((1, 2), files, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(place)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = words
    # Of what pytest put on the path nothing is left: a command that does not find its own modules finds none.
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(_OURS)]
    given = variables.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = filter(None, given)
    stand_by(workers, below)
    sys.path.insert(0, str(Path(words[0]).resolve().parent))
    sys.modules.pop("sitecustomize", None)
    site.execsitecustomize()
    runpy.run_path(words[0], run_name="__main__")
