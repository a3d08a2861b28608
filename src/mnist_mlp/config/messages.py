"""One line for each error in a configuration: what was expected, what came, what to type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from mnist_mlp.config.keys import bundles, keys, sections
from mnist_mlp.config.schema import VARIANTS, Config


def explain_composition(error: HydraException | OmegaConfBaseException, schema: type[Any] = Config) -> str:
    """Hydra's error in one line, with the nearest valid name where a name is wrong."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return explain(cause, schema)
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option}: expected one of {', '.join(error.options)}{nearest(option, error.options)}"
    if isinstance(error, OverrideParseException):
        return f"cannot read the override {error.override!r}: expected key=value, as model.hidden=[128,64]"
    if isinstance(cause, OmegaConfBaseException):
        return explain(cause, schema)
    if several := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", str(error)):
        sweep = "add -m for a sweep over them, or " if issubclass(schema, Config) else ""
        return f"{several[1]}: expected one value, got several; {sweep}put a list in brackets, as in [128,64]"
    return " ".join(str(error).split())


def explain(error: OmegaConfBaseException, schema: type[Any] = Config) -> str:
    """OmegaConf's error in one line: the key, what is allowed, what came."""
    name, message = str(error.full_key or error.key), str(error.msg or error).splitlines()[0]
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        return _unknown(name, schema)
    if isinstance(error, MissingMandatoryValue):
        return f"{name}: missing; every configuration needs it"
    return f"{name}: {message}"


def mistyped(name: str, values: dict[str, Any], schema: type[Any]) -> str:
    """One line for a value in `values` that is not of its key's type."""
    key, value = re.sub(r"\[.*", "", name), values
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else value
    entry = keys(schema).get(key)
    expected = f"{entry.type}" if entry else "a section with keys of its own"
    return f"{key}: expected {expected.replace(' | ', ' or ')}, got {value!r}"


def _unknown(name: str, schema: type[Any]) -> str:
    section, known = name.partition(".")[0], keys(schema)
    if name in known:
        own = name.removeprefix(section + ".")
        owners = [option for option, kind in VARIANTS[section].items() if own in {entry.name for entry in fields(kind)}]
        return f"{name}: not a key of the chosen {section}; {section}={' or '.join(owners)} has it"
    groups = [*sections(schema), *bundles()] if issubclass(schema, Config) else []
    if name in groups:
        return f"{name}: has no such key; expected {name}=<option>, and --help lists the options"
    return f"unknown key {name}{nearest(name, [*known, *groups])}"


def nearest(word: Any, known: Iterable[str]) -> str:
    """A question that offers the known word most like `word`, or nothing."""
    found = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def one_of(choices: Iterable[str]) -> str:
    return "one of " + ", ".join(choices)
