"""Overrides as a person types them, `key=value`: what is before the sign, and how a value is put behind it."""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

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
        return QuotedString(value, Quote.single).with_quotes()
    return str(value)
