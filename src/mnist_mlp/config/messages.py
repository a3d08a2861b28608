"""Error messages for a wrong configuration, one line each: what was expected, what was given, what to type."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from mnist_mlp.config.declare import VARIANTS
from mnist_mlp.config.keys import global_groups, keys, sections
from mnist_mlp.config.overrides import override_value, quoted
from mnist_mlp.config.schema import Config

# Exceptions of Hydra for overrides or files that do not compose to a configuration.
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError)
PACKAGE_HEADER = (
    "expected '# @package _global_' as the very first line of the file, with nothing before it, not even an "
    "invisible byte order mark"
)


def explain_composition(error: Exception, schema: type[Any] = Config) -> str:
    """Message for one of `COMPOSITION_ERRORS`, with the nearest valid name if a name is wrong."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    if isinstance(error, yaml.YAMLError):
        return _unreadable(error)
    if isinstance(error, UnicodeDecodeError):
        byte = f"byte {error.object[error.start]:#x} at position {error.start}"
        return f"a file, most likely a YAML file, is not text in UTF-8: {byte}"
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return explain(cause, schema)
    if isinstance(error, MissingConfigException):
        return _missing(error)
    if isinstance(error, OverrideParseException):
        return _unreadable_override(str(error.override))
    message = " ".join(str(error).split())
    for pattern, line in _COMPOSITIONS:
        if found := re.match(pattern, message):
            return found.expand(line)
    if isinstance(cause, OmegaConfBaseException):
        return explain(cause, schema)
    if several := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", str(error)):
        return _several(several[1], schema)
    return message


# Patterns of Hydra's messages about files that cannot be composed, and the message to print instead.
_COMPOSITIONS = (
    (
        r"In '([^']+)': ConfigTypeError raised while composing config: Cannot merge DictConfig with ListConfig",
        r"\1.yaml: expected keys with values, got a list where a section belongs; groups are chosen under defaults:, "
        r"as in - override /logger: [tensorboard, csv]",
    ),
    (
        r"In '([^'/]+)/([^']+)': Could not override '\1/(\S+)'",
        r"\1/\2.yaml: expected a / before the name of a group, as in - override /optimizer: sgd",
    ),
    (r"In '([^'/]+)/([^']+)': Could not override '[^'@]*@\1\.", rf"\1/\2.yaml: {PACKAGE_HEADER}"),
    (
        r"Multiple values for (\S+)\. To override a value use 'override (\S+): (\S+)'",
        r"\1: chosen twice; to change the choice, write - override /\2: \3 in a file, or \2=\3 on the command line",
    ),
    (
        r"Sweeping over Hydra's configuration is not supported : '\+*hydra\.sweeper\.params\.([\w.]+)=(.*)'$",
        r"hydra.sweeper.params.\1=\2: a sweep over several values is -m \1=\2",
    ),
    (
        r"Could not (?:override|delete) ''\.",
        r"cannot read an override: expected key=value, as 'model.hidden=[128,64]', got no key",
    ),
)


def explain(error: OmegaConfBaseException, schema: type[Any] = Config) -> str:
    """Message for an error of OmegaConf: the key, what is allowed, what was given."""
    name, message = str(error.full_key or error.key), str(error.msg or error).splitlines()[0]
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        return _unknown(name, schema)
    if isinstance(error, MissingMandatoryValue):
        return (
            f"{name}: missing; give it a value in the YAML file of its group, or its key a legacy_default, which older "
            "checkpoints need too"
        )
    return f"{name}: {message}"


def wrong_type(name: str, values: dict[str, Any], schema: type[Any]) -> str:
    """Message for a value in `values` that does not have the type of its key."""
    key, value = re.sub(r"\[.*", "", name), values
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else value
    entry = keys(schema).get(key)
    if entry is None:
        return not_a_section(key, value)
    expected = entry.type.replace(" | ", " or ").replace("None", "null")
    return f"{key}: expected {expected}, got {as_text(value)}{_what_to_type(key, entry.type, value)}"


def as_text(value: Any) -> str:
    """A value for a message: text in quotes, null, true and false as in YAML."""
    return override_value(value) if value is None or isinstance(value, bool) else repr(value)


def shell_override(name: str, value: str) -> str:
    """`name=value`, quoted for a shell if necessary: brackets are special in zsh."""
    return shlex.quote(f"{name}={value}")


def _what_to_type(key: str, kind: str, value: Any) -> str:
    if kind.startswith("list"):
        if value is None:
            return f"; an empty list is {shell_override(key, '[]')}"
        numbers = re.findall(r"-?\d[\d.]*(?:e-?\d+)?", str(value))
        if re.search(r"[^\d.e+\s,;'()\[\]-]", str(value)):  # something else stands among them
            return ""
        whole = all(number.isdigit() for number in numbers)
        if numbers and (whole or kind == "list[float]"):
            return f"; type {shell_override(key, '[' + ','.join(numbers) + ']')}"
        return ""
    if isinstance(value, list) and value:
        return f"; a sweep over several is -m {key}={','.join(map(str, value))}, without brackets"
    if "None" in kind and str(value).lower() in ("none", "~", ""):
        return f"; type {key}=null"
    if "bool" in kind and not isinstance(value, int):
        return "; type true or false"
    return ""


def not_a_section(name: str, value: Any) -> str:
    """Message for a section that has a plain value instead of keys."""
    if isinstance(value, str):
        return (
            f"{name}: expected a section with keys of its own, got {value!r}; an option is chosen by {name}={value} on "
            f"the command line, or in a file under defaults: by - override /{name}: {value}"
        )
    empty = "; leave the empty line out" if value is None else ""
    return f"{name}: expected a section with keys of its own, got {as_text(value)}{empty}"


def _unknown(name: str, schema: type[Any]) -> str:
    section, known = name.partition(".")[0], keys(schema)
    if name in known and section in VARIANTS:
        own = name.removeprefix(section + ".")
        owners = [option for option, kind in VARIANTS[section].items() if own in {entry.name for entry in fields(kind)}]
        if len(owners) == len(VARIANTS[section]):
            return f"{name}: no file under configs/{section} has it; type +{name}=<value> to add it"
        return f"{name}: not a key of the chosen {section}; {section}={' or '.join(owners)} has it"
    groups = list(dict.fromkeys([*sections(schema), *global_groups()])) if issubclass(schema, Config) else []
    if name in groups:
        return f"{name}: has no such key; expected {name}=<option>, and --help lists the options"
    if name.startswith("hydra.sweeper.params."):
        return f"unknown key {name}; type -m {name.removeprefix('hydra.sweeper.params.')}=<values>, or +{name}=<values>"
    if name.startswith("hydra.launcher."):
        return f"unknown key {name}; keys of a launcher need it beside them, as in -m hydra/launcher=stacked"
    return f"unknown key {name}{_nearest_key(name, [*known, *groups])}"


def _nearest_key(name: str, known: Iterable[str]) -> str:
    """`nearest`, which also finds a key by its last part: `optimizer.lr` for `lr`."""
    named: dict[str, list[str]] = {}
    for key in known:
        named.setdefault(key.rpartition(".")[2].lower(), []).append(key)
    if "." not in name:
        if name.lower() in named:
            return f"; did you mean {' or '.join(named[name.lower()])}?"
        if holding := [key for last, held in named.items() if name.lower() in last.split("_") for key in held]:
            return f"; did you mean {' or '.join(holding[:3])}?"
        if not nearest(name, known) and (found := difflib.get_close_matches(name.lower(), named, n=1)):
            return f"; did you mean {' or '.join(named[found[0]])}?"
    return nearest(name, known)


def nearest(word: Any, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the closest match among `known`, ignoring case; or an empty text."""
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(str(word).lower(), lower, n=1)
    return f"; did you mean {lower[found[0]]}?" if found else ""


def one_of(choices: Iterable[str]) -> str:
    return "one of " + ", ".join(choices)


def _several(override: str, schema: type[Any]) -> str:
    """Message for an override with several values for a key that takes one."""
    name, _, value = override.partition("=")
    if "interval(" in value:
        return f"{override}: expected values, got an interval, which only tune.py searches; with -m: {name}=1,2,3"
    in_brackets = "[128,64]"
    if name in keys(schema) and keys(schema)[name].type.startswith("list") and re.fullmatch(r"[\w.,+-]+", value):
        in_brackets = shell_override(name, f"[{value}]")
    sweep = "add -m for a sweep over them, or " if issubclass(schema, Config) else ""
    return f"{override}: expected one value, got several; {sweep}put a list in brackets, as in {in_brackets}"


def _unreadable_override(override: str) -> str:
    name, sign, value = override.partition("=")
    example = "expected key=value, as 'model.hidden=[128,64]'"
    refused = f"cannot read the override {override!r}: "
    if not sign or not re.fullmatch(r"[+~]*[\w./@$-]+", name):
        return refused + example
    if value.startswith("("):
        return refused + f"a list stands in square brackets, as {shell_override(name, '[' + value.strip('()') + ']')}"
    for opening, closing in ("[]", "{}", "()"):
        if value.count(opening) != value.count(closing):
            return refused + f"{opening} and {closing} do not match; {example}"
    return refused + f"such text stands in two pairs of quotes: {shell_override(name, quoted(value))}"


def _missing(error: MissingConfigException) -> str:
    name = str(error.missing_cfg_file)
    if error.options is None:
        return f"{name}: expected the name of a YAML file in configs/ or in the folder of --config-dir, found none"
    group, _, option = name.rpartition("/")
    searched = re.findall(r"path=file://(.*)", str(error))
    for misnamed in (Path(folder, group, f"{option}.yml") for folder in searched):
        if misnamed.is_file():
            return f"{group}={option}: {misnamed} has to be called {option}.yaml"
    return f"{group}={option}: expected one of {', '.join(error.options)}{nearest(option, error.options)}"


def _unreadable(error: yaml.YAMLError) -> str:
    """Message for an error of PyYAML: the file, the line, and how to fix it."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"a YAML file cannot be read: {' '.join(str(error).split())}"
    problem, mark = error.problem or "", error.problem_mark
    if r"'\t'" in problem or "\t" in problem:
        advice = "a tab; indent with spaces"
    elif "duplicate key" in problem:
        advice = f"the key {problem.rpartition(' ')[2]} stands there twice; leave one out"
    elif error.context is not None and error.context.startswith("while parsing a flow"):
        advice, mark = "this bracket is not closed, or a comma is missing behind it", error.context_mark
    else:
        advice = f"{problem}; in doubt put the value in quotes"
    place = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else "a YAML file"
    return f"{place}: {advice}"
