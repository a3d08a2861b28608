"""Callbacks of a run: ordinary Lightning callbacks.

    history.py           metrics of each epoch: one row, one line on the console, scalars for the loggers
    model_checkpoint.py  best.ckpt (the best by `checkpoint.monitor`) and last.ckpt
    loop_progress.py     the state of Lightning's loops in a checkpoint
    early_stopping.py    stops a run that no longer improves
    interruption.py      on a signal: save a checkpoint and stop
    progress_bar.py      one progress bar for the whole run

To add one: a class in a new file of this folder, and a file in configs/callbacks/ that names it:

    own: {my_file: {MyCallback: {some_argument: 3}}}

If it changes neither network nor optimizer, say so by `only_reads = True` in the class: then the fast engine keeps its
hand-written step.

`callbacks=<name of that file>` switches it on, `callbacks=[early_stopping,<name>]` several. With `lightning` instead of
the name of a file, classes of `lightning.pytorch.callbacks` are meant:

    own: {lightning: {EarlyStopping: {monitor: val/acc, mode: max, stopping_threshold: 0.98}}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from inspect import isclass, signature
from types import ModuleType
from typing import Any

import lightning as L
import lightning.pytorch.callbacks as lightning_callbacks
from lightning.fabric.utilities.exceptions import MisconfigurationException

from mnist_mlp.callbacks.early_stopping import EarlyStopping
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.messages import as_text
from mnist_mlp.config.schema import CallbacksConfig

LIGHTNING = "lightning"
"""in `callbacks.own`, this instead of the name of a file means `lightning.pytorch.callbacks`"""
READ_ONLY = (lightning_callbacks.EarlyStopping, lightning_callbacks.ModelSummary, lightning_callbacks.RichModelSummary)
"""callbacks of Lightning that change neither network nor optimizer, and have no hook around a batch"""


def build_callbacks(config: CallbacksConfig) -> list[L.Callback]:
    """Callbacks of the section `callbacks`: early stopping, your own, and Lightning's that you name.

    Raises:
        ConfigError: there is no such callback, it does not accept these arguments, or two are the same.
    """
    built: list[L.Callback] = []
    if config.early_stopping.patience is not None:
        built.append(EarlyStopping(config.early_stopping))
    for file, classes in config.own.items():
        if not (file.isidentifier() and isinstance(classes, Mapping)):
            raise ConfigError(
                "callbacks.own: expected {file: {Class: {argument: value}}}, with a file in mnist_mlp/callbacks/ or "
                f"lightning, got {as_text({file: classes})}"
            )
        built += [_own(file, name, {} if given is None else given) for name, given in classes.items()]
    _refuse_equal_states(built)
    return built


def only_reads(callback: L.Callback) -> bool:
    """Whether the callback changes neither network nor optimizer: its own class says so, or is one of Lightning's."""
    return bool(vars(type(callback)).get("only_reads")) or type(callback) in READ_ONLY


def _refuse_equal_states(callbacks: Sequence[L.Callback]) -> None:
    """Raise ConfigError if two callbacks have one key for their state: a checkpoint would hold that of one only."""
    keys = [callback.state_key for callback in callbacks if type(callback).state_dict is not L.Callback.state_dict]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ConfigError(f"callbacks: expected callbacks that differ, got two of {twice[0]}; leave one out")


def _own(file: str, class_name: str, arguments: Any) -> L.Callback:
    name = f"callbacks.own.{file}.{class_name}"
    found = getattr(lightning_callbacks if file == LIGHTNING else _module(file), class_name, None)
    if not (isclass(found) and issubclass(found, L.Callback)):
        place = "lightning.pytorch.callbacks" if file == LIGHTNING else f"mnist_mlp/callbacks/{file}.py"
        raise ConfigError(f"{name}: expected a Lightning callback, found no {class_name} in {place}")
    if not isinstance(arguments, Mapping):
        raise ConfigError(f"{name}: expected {{argument: value}}, got {as_text(arguments)}")
    try:
        signature(found).bind(**arguments)
    except TypeError as error:
        raise ConfigError(f"{name}: does not take these arguments: {error}") from error
    # Another error in your own class may be a bug, whose traceback you need.
    wrong = (ValueError, TypeError, AttributeError, ModuleNotFoundError) if file == LIGHTNING else ()
    try:
        return found(**arguments)
    except (MisconfigurationException, *wrong) as error:
        raise ConfigError(f"{name}: does not take these arguments: {error}") from error


def _module(file: str) -> ModuleType | None:
    """The module `file` of this folder; None if there is none."""
    module = f"{__name__}.{file}"
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # the file imports a package that is not installed
            raise
        return None
