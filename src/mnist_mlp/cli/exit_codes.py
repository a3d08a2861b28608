"""Exit codes: an exception that ends a command becomes one line on standard error and an exit code.

0: completed. 1: failed. 2: wrong configuration or input, found before any work if possible. 128 + n: signal n.

Two cases are handled elsewhere: in `app` a signal to a run that can be resumed, in `console` an error of standard
output.
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
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from mnist_mlp.cli.console import exit_if_output_fails, open_streams
from mnist_mlp.cli.startup import speed_up_imports
from mnist_mlp.config.composition_errors import COMPOSITION_ERRORS, explain_composition
from mnist_mlp.config.errors import ConfigError, Interrupted, UserError, needed
from mnist_mlp.config.keys import keys
from mnist_mlp.config.schema import Config
from mnist_mlp.runs import directory_lock
from mnist_mlp.runs.command_line import error_line

BEFORE_WORK, FAILED = 2, 1


class Parser(argparse.ArgumentParser):
    """Parser for commands without Hydra: an error is one line, without the usage above it."""

    def print_help(self, file: Any = None) -> None:
        print(self.format_help(), end="", file=file)  # argparse itself would ignore a full disk

    def error(self, message: str) -> NoReturn:
        # `run_app` puts this method into argparse.ArgumentParser, so `self` may be Hydra's own parser.
        advice = "" if isinstance(self, Parser) else _without_dashes(message)
        raise ConfigError(f"{message}{advice}; --help lists what there is")


def _without_dashes(message: str) -> str:
    """Advice for an option in another style: `--seed=1` is typed `seed=1`."""
    if option := re.match(r"unrecognized arguments: --?([\w.-]+)(=\S*)?", message):
        name = option[1].replace("-", "_")
        if found := [key for key in keys() if name in (key, key.rpartition(".")[2])]:
            return f"; keys stand without dashes: {found[0]}{option[2] or '=...'}"
    return ""


@contextmanager
def exit_codes(schema: type[Any] = Config, *, os_error: int = FAILED, directory: Path | None = None) -> Iterator[None]:
    """Turn exceptions in the block into exit codes: one line for errors that a user can fix, a traceback for a bug.

    Args:
        schema: its keys are suggested if an unknown one was given.
        os_error: exit code for errors of the operating system: disk full, no permission, a name too long.
        directory: the place that the block writes to; printed if such an error names no file.
    """
    open_streams()
    speed_up_imports()
    threading.excepthook = _thread_failed
    try:
        with exit_if_output_fails():
            yield
    except UserError as error:
        stop(str(error), error.exit_code)
    except COMPOSITION_ERRORS as error:
        if (reason := system_error(error, directory)) is not None:
            stop(reason, os_error)
        try:
            line = explain_composition(error, schema)
        except OSError as other:  # it searches files of the given name, which may be too long
            line = system_error(other) or str(other)
        stop(line, BEFORE_WORK)
    except Interrupted as error:
        stop(f"stopped by {error.name}", error.exit_code)
    except KeyboardInterrupt:
        stop("stopped by Ctrl-C", 130)
    except Exception as error:
        if (reason := system_error(error, directory)) is not None:
            stop(reason, os_error)
        if _raised_by_hydra(error):
            stop(" ".join(str(error).split()), BEFORE_WORK)
        if _while_composing(error):
            stop(_uncomposable(error), BEFORE_WORK)
        traceback.print_exc()
        sys.exit(FAILED)


def system_error(error: BaseException | None, directory: Path | None = None) -> str | None:
    """One line for an OSError or a package that is not installed, also as a cause; None for any other exception."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and (line := missing_package(error)) is not None:
            return line
        if isinstance(error, OSError) and error.errno is not None:
            named = isinstance(error.filename, str | bytes | os.PathLike)  # it may be a file descriptor
            place = os.fsdecode(error.filename) if named else directory or directory_lock.last_locked()
            return f"{place}: {error.strerror or error}" if place else str(error.strerror or error)
        error = error.__cause__
    return None


def missing_package(error: ModuleNotFoundError) -> str | None:
    """What to type where another project's module is missing; None for one of ours, which is a bug."""
    module = str(error.name).partition(".")[0]
    if error.name is None or find_spec(module) is not None:
        return None
    package = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}.get(module, module.replace("_", "-"))
    return needed(package)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Print an exception in a thread.

    An OSError is not printed: TensorBoard's writer also raises it in the main thread, where it is reported.
    """
    if system_error(failure.exc_value) is None:
        threading.__excepthook__(failure)


def stop(line: str, code: int) -> NoReturn:
    """Print `<command>: <line>` to standard error, if it can be written, and exit."""
    with suppress(OSError, ValueError):
        print(error_line(line), file=sys.stderr, flush=True)
    sys.exit(code)


def _raised_by_hydra(error: Exception) -> bool:
    """Whether Hydra raised the error: it refuses some overrides, such as `model=null`, with a plain ValueError."""
    return _modules(error)[-1].startswith("hydra.")


def _while_composing(error: Exception) -> bool:
    return "hydra._internal.config_loader_impl" in _modules(error)


def _uncomposable(error: Exception) -> str:
    """Message for an error that neither Hydra nor OmegaConf expected of a YAML file."""
    if isinstance(error, RecursionError):
        return "a YAML file contains itself: a group that chooses itself under defaults:, or an anchor in its own value"
    reason = " ".join(str(error).split())
    return f"a YAML file cannot be composed, most likely a section of it has the wrong shape: {reason}"


def _modules(error: Exception) -> list[str]:
    """The module of each frame of the traceback, the innermost last."""
    return [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
