"""Error messages for a wrong configuration, one line each: what was expected, what was given, what to type."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from mnist_mlp.config.declare import VARIANTS
from mnist_mlp.config.keys import global_groups, keys, sections
from mnist_mlp.config.overrides import override_value
from mnist_mlp.config.schema import Config


def explain(error: OmegaConfBaseException, schema: type[Any] = Config) -> str:
    """Message for an error of OmegaConf: the key, what is allowed, what was given."""
    name, message = str(error.full_key or error.key), str(error.msg or error).splitlines()[0]
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        return _unknown(name, schema)
    if isinstance(error, MissingMandatoryValue):
        if owners := _some_of_the_variants(name):
            section = name.partition(".")[0]
            options = " or ".join(f"{section}={owner}" for owner in owners)
            return f"{name}: missing; choose by the group, {options}, not by {section}.name"
        return (
            f"{name}: missing; set it in the YAML file of its group, or give its field in the schema a legacy_default. "
            "Checkpoints written before the key existed need that anyway"
        )
    if found := re.match(r"Cannot merge (Dict|List)Config with (Dict|List)Config", message):
        shapes = {"Dict": "keys with values, as in {a: 1}", "List": "a list, as in [a]"}
        return f"{name}: expected {shapes[found[1]]}, got {shapes[found[2]].partition(',')[0]}"
    return f"{name}: {message}"


def wrong_type(name: str, values: dict[str, Any], schema: type[Any]) -> str:
    """Message for a value in `values` that does not have the type of its key."""
    key, value = re.sub(r"\[.*", "", name), values
    section, _, last = key.rpartition(".")
    if last.isdigit():  # a number where list[list[int]] has a list: OmegaConf names its place, not the key
        nested = (found for found, entry in keys(schema).items() if entry.type.startswith("list[list"))
        key = next(found for found in nested if found.rpartition(".")[0] == section)
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
    override = f"{name}={value}"
    readable = "'" in override and not re.search(r'["$`!\\]', override)  # `shlex.quote` would write '"'"' for each '
    return f'"{override}"' if readable else shlex.quote(override)


def _what_to_type(key: str, kind: str, value: Any) -> str:
    if kind.startswith("list") and not kind.startswith("list[list"):
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
        return "; type true, false or a whole number" if "int" in kind else "; type true or false"
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
    for own, entry in known.items():
        if entry.type.startswith("dict") and name.startswith(f"{own}."):
            return f"{own}: an entry is added with a + before the key, as in {shell_override('+' + own, '{...}')}"
    if name in known:  # in the schema, but not in the composed configuration
        if owners := _some_of_the_variants(name):
            return f"{name}: not a key of the chosen {section}; {section}={' or '.join(owners)} has it"
        if section in VARIANTS or known[name].default is not MISSING:
            return f"{name}: no file under configs/ sets it; type +{name}=<value> to add it"
        return f"{name}: no file under configs/ gives it a value, or a file sets the section {section} to null"
    groups = list(dict.fromkeys([*sections(schema), *global_groups()])) if issubclass(schema, Config) else []
    if name in groups:
        return f"{name}: is a group and has no keys here; choose an option by {name}=<option>, --help lists them"
    if name.startswith("hydra.sweeper.params."):
        return f"unknown key {name}; type -m {name.removeprefix('hydra.sweeper.params.')}=<values>, or +{name}=<values>"
    if name.startswith("hydra.launcher."):
        return f"unknown key {name}; choose the launcher that has it, as in -m hydra/launcher=stacked"
    return f"unknown key {name}{_nearest_key(name, [*known, *groups])}"


def _some_of_the_variants(name: str) -> list[str]:
    """The options of a section (`cnn` of `model`) that have this key; none if all of them have it."""
    section, _, own = name.partition(".")
    variants = VARIANTS.get(section, {})
    owners = [option for option, kind in variants.items() if own in {entry.name for entry in fields(kind)}]
    return owners if len(owners) < len(variants) else []


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
    section, _, own = name.lower().partition(".")
    if held := {key.partition(".")[2].lower(): key for key in known if key.startswith(f"{section}.")}:
        found = [last for last in held if own in last.split("_")] or difflib.get_close_matches(own, held, n=1)
        if not found:
            return f"; --help {section} lists those of {section}"
        return f"; did you mean {' or '.join(held[last] for last in found[:3])}?"
    return nearest(name, known)


def nearest(word: Any, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the closest match among `known`, ignoring case; or an empty text."""
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(str(word).lower(), lower, n=1)
    return f"; did you mean {lower[found[0]]}?" if found else ""


def one_of(choices: Iterable[str]) -> str:
    first, *others = choices
    return ", ".join([f"one of {first}", *others]) if others else first
