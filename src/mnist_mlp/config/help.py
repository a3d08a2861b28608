"""The text that --help prints: every key of a command with its type, its limits and its meaning."""

from __future__ import annotations

from mnist_mlp.config.commands import SCHEMAS
from mnist_mlp.config.keys import Entry, keys


def documented_keys(config_name: str) -> str:
    """Every key with its type, its meaning and its limits, for `--help`."""
    return "\n".join(map(_documented, keys(SCHEMAS[config_name]).values()))


def _documented(entry: Entry) -> str:
    key = entry.key
    words = [" | ".join(key.choices)] if key.choices else []
    words += [f"{limit.sign} {limit.bound}" for limit in key.limits]
    return f"  {entry.name:<34} {entry.type:<13} {key.doc}" + (f"  [{', '.join(words)}]" if words else "")
