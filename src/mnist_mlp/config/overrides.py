"""Overrides as a person types them, `key=value`: what is before the sign, and how a value is put behind it."""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import CONFIGS

# Hydra reads these words as something else than text.
NO_TEXT = ("null", "true", "false", "nan", "inf")


def key_of(override: str) -> str:
    """The key or group that `key=value`, `+key=value`, `++key=value` or `~key` is about."""
    return override.partition("=")[0].lstrip("+~")


def word(value: Any) -> str:
    """A plain value in words that Hydra reads back as it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(map(word, value)) + "]"
    if isinstance(value, str) and (not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", value) or value.lower() in NO_TEXT):
        return quoted(value)
    return str(value)


def quoted(text: str) -> str:
    """Text in quotes, for Hydra to take as it is."""
    return QuotedString(text, Quote.single).with_quotes()


def readable(arguments: list[str]) -> list[str]:
    """The arguments, with quotes around values that Hydra could not read without: `data.dir=~/größe (1)`.

    A value that could mean anything else than text, a list or several values, stays as it is, for Hydra to refuse.

    Raises:
        ConfigError: a group is given something that is not the name of an option; Hydra would not say which group.
    """
    return [_readable(argument) for argument in arguments]


def _readable(argument: str) -> str:
    key, sign, value = argument.partition("=")
    if not sign or argument.startswith("-"):
        return argument
    parser = OverridesParser.create()
    try:
        _refuse_no_option(parser.parse_override(argument))
    except HydraException:
        if re.search(r"""[\[\]{},'"]|\$\{""", value):
            return argument
        in_quotes = f"{key}={quoted(value)}"
        try:
            parser.parse_override(in_quotes)
        except HydraException:
            return argument
        return in_quotes
    return argument


def _refuse_no_option(override: Override) -> None:
    group = override.key_or_group
    options = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")) if re.fullmatch(r"\w+", group) else []
    if not options or override.is_sweep_override() or override.is_delete():
        return
    value = override.value()
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str | QuotedString) for name in names):
        raise ConfigError(
            f"{override.input_line}: expected an option of the group {group}: one of {', '.join(options)}"
        )
