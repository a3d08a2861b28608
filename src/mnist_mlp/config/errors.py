"""The errors that people cause and can mend; everything else is a bug and keeps its traceback."""

import sys
from importlib.util import find_spec


class UserError(Exception):
    """What was expected, what came, what to do: one line, shown without a traceback."""

    exit_code = 2


class ConfigError(UserError):
    """A wrong key, type, range or combination in the configuration."""


class CheckpointError(UserError):
    """A checkpoint is missing, damaged, or holds something other than tensors and plain values."""


class ResultError(UserError):
    """There is no run where one was to be read."""


class MissingPackageError(UserError):
    """A package that only some commands need is not installed."""


class ExportError(UserError):
    """What was written does not answer as the network does."""

    exit_code = 1


class UnsupportedError(ExportError):
    """The network has a layer that the page or the ONNX file cannot hold, or its images are not the page's."""

    exit_code = 2


class DataError(UserError):
    """The data set is not whole and could not be fetched."""

    exit_code = 1


class SaveError(UserError):
    """What a run has to save cannot be written: the disk is full, or there is no permission."""

    exit_code = 1


class DivergedError(UserError):
    """A loss or a weight is no longer a finite number."""

    exit_code = 1


class ProcessError(UserError):
    """Another of the processes that train together failed, or is no more."""

    exit_code = 1


class Stopped(BaseException):
    """A run ends before its time, and what could be saved is saved. Not an `Exception`: nothing failed."""


class Interrupted(Stopped):
    """A signal came that stops a run; it ends a whole sweep."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number


class Pruned(Stopped):
    """A search gave the run up: others did better at the same point."""

    WORD = "pruned"

    def __init__(self, epochs: int, of: int) -> None:
        super().__init__(f"{self.WORD} after epoch {epochs} of {of}")


def require(*packages: str) -> None:
    """Raise MissingPackageError, with the command that installs them, where some of `packages` are not installed."""
    missing = " ".join(package for package in packages if find_spec(package) is None)
    if missing:
        raise MissingPackageError(f"needs packages that are not installed: {sys.executable} -m pip install {missing}")
