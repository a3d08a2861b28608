"""Overrides, `key=value` on the command line: the key, and a value as text for Hydra."""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

# Words that Hydra does not parse as text.
NO_TEXT = ("null", "true", "false", "nan", "inf")


def key_of(override: str) -> str:
    """The key or group in `key=value`, `+key=value`, `++key=value` or `~key`."""
    return override.partition("=")[0].lstrip("+~")


def override_value(value: Any) -> str:
    """A plain value as text that Hydra parses to the same value. In a dict, the names have to be words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(map(override_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{override_value(held)}" for name, held in value.items()) + "}"
    if isinstance(value, str) and (not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", value) or value.lower() in NO_TEXT):
        return quoted(value)
    return str(value)


def quoted(text: str) -> str:
    """Text in Hydra's quotes: its parser takes every character literally. OmegaConf resolves `${...}` all the same."""
    return QuotedString(text, Quote.single).with_quotes()
