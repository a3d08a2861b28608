"""Callbacks: what watches a run. Each is an ordinary Lightning callback, and sees a trainer and a `DigitClassifier`.

    history.py          one row an epoch, scalars for the loggers, one line on the console
    checkpointing.py    best.ckpt, last.ckpt
    early_stopping.py   ends a run that no longer gets better
    interruption.py     signals: save and stop
    progress_bar.py     one bar for the run

One of your own: a class in a new file of this folder, and a file in configs/callbacks/ that names it:

    own: {my_file.MyCallback: {some_argument: 3}}
"""

from __future__ import annotations

from importlib import import_module
from inspect import isclass
from typing import Any

import lightning as L

from mnist_mlp.callbacks.early_stopping import EarlyStopping
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import CallbacksConfig


def build_callbacks(config: CallbacksConfig) -> list[L.Callback]:
    """Those that the section `callbacks` asks for.

    Raises:
        ConfigError: there is no such callback, or it does not take such arguments.
    """
    built: list[L.Callback] = []
    if config.early_stopping.patience is not None:
        built.append(EarlyStopping(config.early_stopping))
    return built + [_own(name, arguments or {}) for name, arguments in config.own.items()]


def _own(name: str, arguments: dict[str, Any]) -> L.Callback:
    file, _, class_name = name.partition(".")
    try:
        found = getattr(import_module(f"{__name__}.{file}"), class_name) if file.isidentifier() else None
    except (ModuleNotFoundError, AttributeError):
        found = None
    if not (isclass(found) and issubclass(found, L.Callback)):
        raise ConfigError(
            f"callbacks.own: expected file.Class with a Lightning callback in mnist_mlp/callbacks/, got {name!r}"
        )
    try:
        return found(**arguments)
    except TypeError as error:
        raise ConfigError(f"callbacks.own: {name} does not take these arguments: {error}") from error
