"""Errors as one line and an exit code: the only place that turns an exception into what a person sees.

0 completed; 1 failed; 2 wrong configuration or input, before any work; 128 + the number of the signal that stopped it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from mnist_mlp.cli.console import open_streams, silent_without_reader
from mnist_mlp.cli.startup import hasten_imports
from mnist_mlp.config.composition_errors import COMPOSITION_ERRORS, explain_composition
from mnist_mlp.config.errors import ConfigError, Interrupted, UserError
from mnist_mlp.config.keys import keys
from mnist_mlp.config.schema import Config
from mnist_mlp.runs import ownership

BEFORE_WORK, FAILED = 2, 1


class Parser(argparse.ArgumentParser):
    """For commands without Hydra: what is wrong is one line, as everywhere, and not a usage and a line."""

    def print_help(self, file: Any = None) -> None:
        print(self.format_help(), end="", file=file)  # argparse itself would keep silent about a full disk

    def error(self, message: str) -> NoReturn:
        to_type = "" if isinstance(self, Parser) else _without_dashes(message)  # Hydra's own parser calls this too
        raise ConfigError(f"{message}{to_type}; --help lists what there is")


def _without_dashes(message: str) -> str:
    """What to type for `--seed=1`, where commands of another kind have options of this style."""
    if option := re.match(r"unrecognized arguments: --?([\w.-]+)(=\S*)?", message):
        name = option[1].replace("-", "_")
        if found := [key for key in keys() if name in (key, key.rpartition(".")[2])]:
            return f"; keys stand without dashes: {found[0]}{option[2] or '=...'}"
    return ""


@contextmanager
def exit_codes(schema: type[Any] = Config, *, system: int = FAILED, directory: Path | None = None) -> Iterator[None]:
    """One clear line for what a person can mend, a traceback for a bug.

    Args:
        schema: has the keys that may have been meant.
        system: the exit code of errors of the operating system: disk full, no permission, a name too long.
        directory: where the block writes; named where such an error does not say what it is about.
    """
    open_streams()
    hasten_imports()
    threading.excepthook = _thread_failed
    try:
        with silent_without_reader():
            yield
    except UserError as error:
        stop(str(error), error.exit_code)
    except COMPOSITION_ERRORS as error:
        if (reason := system_error(error, directory)) is not None:
            stop(reason, system)
        try:
            line = explain_composition(error, schema)
        except OSError as other:  # it looks for files of the name that was typed, which may be too long for one
            line = system_error(other) or str(other)
        stop(line, BEFORE_WORK)
    except Interrupted as error:
        stop(f"stopped by {error.name}", error.exit_code)
    except KeyboardInterrupt:
        stop("stopped by Ctrl-C", 130)
    except Exception as error:
        if (reason := system_error(error, directory)) is not None:
            stop(reason, system)
        if _raised_by_hydra(error):
            stop(" ".join(str(error).split()), BEFORE_WORK)
        traceback.print_exc()
        sys.exit(FAILED)


def system_error(error: BaseException | None, directory: Path | None = None) -> str | None:
    """One line for an error of the operating system, or one that was caused by such; None for any other."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            named = isinstance(error.filename, str | bytes | os.PathLike)  # a number is that of an open file
            place = os.fsdecode(error.filename) if named else directory or ownership.latest()
            return f"{place}: {error.strerror or error}" if place else str(error.strerror or error)
        error = error.__cause__
    return None


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Where TensorBoard's thread cannot write, the thread that trains finds out, and says so."""
    if system_error(failure.exc_value) is None:
        threading.__excepthook__(failure)


def stop(line: str, code: int) -> NoReturn:
    """Print the line as this command's, and exit; silent where the terminal is gone."""
    with suppress(OSError, ValueError):
        print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr, flush=True)
    sys.exit(code)


def _raised_by_hydra(error: Exception) -> bool:
    """Hydra refuses some overrides, `model=null` among them, with plain ValueErrors of its own."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__")).startswith("hydra.")
