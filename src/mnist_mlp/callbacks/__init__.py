"""Callbacks of a run: ordinary Lightning callbacks.

    history.py           metrics of each epoch: one row, one line on the console, scalars for the loggers
    model_checkpoint.py  best.ckpt (the best by `checkpoint.monitor`) and last.ckpt
    early_stopping.py    stops a run that no longer improves
    monitors.py          checks of the metrics that these two monitor
    interruption.py      on a signal: save a checkpoint and stop
    progress_bar.py      one progress bar for the whole run

To add one: a class in a new file of this folder, and a file in configs/callbacks/ that names it:

    own: {my_file.MyCallback: {some_argument: 3}}

`callbacks=<name of that file>` switches it on; `callbacks=[early_stopping,<name>]` several.
"""

from __future__ import annotations

from importlib import import_module
from inspect import isclass, signature
from typing import Any

import lightning as L

from mnist_mlp.callbacks.early_stopping import EarlyStopping
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import CallbacksConfig


def build_callbacks(config: CallbacksConfig) -> list[L.Callback]:
    """Callbacks of the section `callbacks`: early stopping, and your own.

    Raises:
        ConfigError: there is no such callback, or it does not accept these arguments.
    """
    built: list[L.Callback] = []
    if config.early_stopping.patience is not None:
        built.append(EarlyStopping(config.early_stopping))
    return built + [_own(name, arguments or {}) for name, arguments in config.own.items()]


def _own(name: str, arguments: dict[str, Any]) -> L.Callback:
    file, _, class_name = name.partition(".")
    module = f"{__name__}.{file}"
    try:
        found = getattr(import_module(module), class_name, None) if file.isidentifier() else None
    except ModuleNotFoundError as error:
        if error.name != module:  # the file imports a package that is not installed
            raise
        found = None
    if not (isclass(found) and issubclass(found, L.Callback)):
        raise ConfigError(
            f"callbacks.own: expected file.Class with a Lightning callback in mnist_mlp/callbacks/, got {name!r}"
        )
    try:
        signature(found).bind(**arguments)
    except TypeError as error:
        raise ConfigError(f"callbacks.own: {name} does not take these arguments: {error}") from error
    return found(**arguments)
