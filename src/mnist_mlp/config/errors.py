"""Errors that the user can fix, with their exit codes; any other exception is a bug and keeps its traceback."""

import signal
import sys
from importlib.util import find_spec


class UserError(Exception):
    """Base class; the message is one line (expected, got, what to do), printed without a traceback."""

    exit_code = 2


class ConfigError(UserError):
    """A wrong key, type, range or combination in the configuration."""


class CheckpointError(UserError):
    """A checkpoint is missing, damaged, or holds something other than tensors and plain values."""


class ResultError(UserError):
    """No run was found in the given directory."""


class MissingPackageError(UserError):
    """An optional package, needed by this command, is not installed."""


class ExportError(UserError):
    """The exported file gives other outputs than the network."""

    exit_code = 1


class UnsupportedError(ExportError):
    """The network has a layer that the demo page or the ONNX file cannot hold, or images of another shape."""

    exit_code = 2


class DataError(UserError):
    """The data set is missing or damaged, and could not be downloaded."""

    exit_code = 1


class SaveError(UserError):
    """A file cannot be written: the disk is full, or there is no permission."""

    exit_code = 1


class SearchError(UserError):
    """No trial of a search completed."""

    exit_code = 1


class DivergedError(UserError):
    """A loss or a weight is NaN or infinite."""

    exit_code = 1


class ProcessError(UserError):
    """Another rank of this run failed or died."""

    exit_code = 1


class Stopped(BaseException):
    """A run was stopped early; its state is saved if training had begun. A BaseException, as nothing failed."""


class Interrupted(Stopped):
    """A signal stopped the run; a sweep ends too."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number
        # As the user knows it.
        self.name = "Ctrl-C" if signal_number == signal.SIGINT else signal.Signals(signal_number).name


class Pruned(Stopped):
    """A search pruned the trial: others were better after as many epochs."""

    WORD = "pruned"
    """how the error in the result of a pruned trial begins, by which a continued search recognises it"""

    def __init__(self, epochs: int, of: int) -> None:
        super().__init__(f"{self.WORD} after epoch {epochs} of {of}")


def needed(*packages: str) -> str:
    """The command that installs packages, as part of an error message."""
    what = "a package that is" if len(packages) == 1 else "packages that are"
    return f"needs {what} not installed: {sys.executable} -m pip install {' '.join(packages)}"


def require(*modules: str, package: str | None = None) -> None:
    """Raise MissingPackageError if some of `modules` are not installed.

    `package` contains all of them; None: each is in a package of its own name.
    """
    if missing := [module for module in modules if find_spec(module) is None]:
        raise MissingPackageError(needed(package) if package else needed(*missing))
