"""Entries of the tables of networks, losses, metrics and optimizers, by the name in the configuration."""

from collections.abc import Mapping
from typing import TypeVar

from mnist_mlp.config.errors import ConfigError

Entry = TypeVar("Entry")


def entry(table: Mapping[str, Entry], name: str, key: str, where: str) -> Entry:
    """The entry `name` of a table.

    Raises:
        ConfigError: the name is in config/schema.py, so that `key` accepts it, and was forgotten in the table.
    """
    if name not in table:
        raise ConfigError(f"{key}: {name} is declared in config/schema.py, but has no entry in {where}; add it there")
    return table[name]
