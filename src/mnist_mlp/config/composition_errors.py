"""Error messages for command lines and YAML files from which Hydra cannot compose a configuration, one line each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from mnist_mlp.config.keys import keys
from mnist_mlp.config.messages import explain, nearest, shell_override
from mnist_mlp.config.overrides import quoted
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


# Patterns of Hydra's messages about files and overrides that cannot be composed, and the message to print instead.
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
    # Without the header Hydra looks for `optimizer@experiment.optimizer`.
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


def _several(override: str, schema: type[Any]) -> str:
    """Message for an override with several values for a key that takes one."""
    name, _, value = override.partition("=")
    if "interval(" in value:
        return f"{override}: expected values, got an interval, which only tune.py searches; with -m: {name}=1,2,3"
    advice = ["add -m for a sweep over them"] if issubclass(schema, Config) else []
    if name in ("logger", "callbacks") or (name in keys(schema) and keys(schema)[name].type.startswith("list")):
        example = shell_override(name, f"[{value}]") if re.fullmatch(r"[\w.,+-]+", value) else "[128,64]"
        advice.append(f"put a list in brackets, as in {example}")
    return f"{override}: expected one value, got several" + (f"; {', or '.join(advice)}" if advice else "")


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
    if re.search(r"[(,]\s*null\s*[,)]", value):
        choices = re.fullmatch(r"choice\(([^()]*)\)", value)
        example = shell_override(name, choices[1].replace(" ", "") if choices else "null,1")
        return refused + f"functions take no null; values to choose from may be null without one, as {example}"
    return refused + f"put this value into two pairs of quotes: {shell_override(name, quoted(value))}"


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
