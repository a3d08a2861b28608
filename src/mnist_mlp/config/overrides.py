"""Overrides, `key=value` on the command line: their keys, and the quoting of their values in Hydra's syntax."""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import CONFIGS

# Words that Hydra does not parse as text.
NO_TEXT = ("null", "true", "false", "nan", "inf")


def key_of(override: str) -> str:
    """The key or group in `key=value`, `+key=value`, `++key=value` or `~key`."""
    return override.partition("=")[0].lstrip("+~")


def override_value(value: Any) -> str:
    """A plain value as text that Hydra parses to the same value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(map(override_value, value)) + "]"
    if isinstance(value, str) and (not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", value) or value.lower() in NO_TEXT):
        return quoted(value)
    return str(value)


def quoted(text: str) -> str:
    """Text in Hydra's quotes, with every character taken literally."""
    return QuotedString(text, Quote.single).with_quotes()


def quote_where_needed(arguments: list[str]) -> list[str]:
    """The arguments, with quotes around values that Hydra cannot parse without them: `data.dir=~/größe (1)`.

    A value with brackets, commas or quotes is left alone, as it may be a mistyped list; Hydra refuses it.

    Raises:
        ConfigError: the value for a group is not the name of an option; Hydra's own error does not name the group.
    """
    return [_quoted_where_needed(argument) for argument in arguments]


def _quoted_where_needed(argument: str) -> str:
    key, sign, value = argument.partition("=")
    if not sign or argument.startswith("-"):
        return argument
    parser = OverridesParser.create()
    try:
        _refuse_wrong_option(parser.parse_override(argument))
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


def _refuse_wrong_option(override: Override) -> None:
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
