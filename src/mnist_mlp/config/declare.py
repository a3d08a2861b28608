"""The declaration of a configuration key: its documentation, its limits, and what else the project asks about it.

What one part of the project has to know about a key (may it change when a run goes on? may the networks of a stack
differ in it?) is a property of the key, stated where the key is declared. `mnist_mlp.config.keys` reads it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Section:
    """What holds for every key of a section."""

    stackable: bool = False
    """A stack of networks takes account of it. A new section trains alone until somebody has seen to that."""
    in_hparams: bool = False
    """Its keys are columns of TensorBoard's HParams table."""


class Limit(NamedTuple):
    word: str
    sign: str
    bound: float | None
    holds: Callable[[Any, Any], bool]
    """of a number and the bound"""


@dataclass(frozen=True, kw_only=True)
class Key:
    """What `key(...)` states about one key. A property that is left out has the careful value."""

    doc: str
    choices: Collection[str] = ()
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    count_or_share: bool = False
    """An int counts batches; a float is a share of them, from 0 to 1."""
    path: bool = False
    """A file or folder; a leading `~` is the home directory."""
    run_limit: Literal["steps", "seconds"] | None = None
    """It ends the run, after so many optimizer steps (or epochs of them) or after so much time."""
    may_change: bool = False
    """It may take a new value when a run goes on, as it says how long or on what device, not what is computed.
    A limit in steps may change only under a learning rate schedule that does not depend on the length of the run."""
    affects_result: bool = True
    """Two runs that differ in it train different networks. Without it, as where a run lies and what it shows: the
    leaderboard counts both as one configuration, and it may change when a run goes on."""
    per_member: bool = False
    """Networks that are trained in one stack may differ in it."""
    by_engine: bool = False
    """The engine counts it in optimizer steps or does it inside a chunk; `lightning.Trainer` does not get it."""
    stackable: bool = False
    """For a key at the top of the configuration, what `Section.stackable` is for those of a section."""
    in_hparams: bool = False
    """It is a column of TensorBoard's HParams table, where its section does not say so already."""
    shown_first: bool = False
    """That column is shown without being asked for."""

    @property
    def limits(self) -> list[Limit]:
        """The limits that it has."""
        every = (
            Limit("above", ">", self.above, operator.gt),
            Limit("at least", ">=", self.at_least, operator.ge),
            Limit("below", "<", self.below, operator.lt),
            Limit("at most", "<=", self.at_most, operator.le),
        )
        return [limit for limit in every if limit.bound is not None]


def key(doc: str, *, before: Any = MISSING, **properties: Any) -> Any:
    """A configuration key: one line of documentation, then the properties of `Key`.

    `before` is what checkpoints mean that were written before there was this key; every YAML has a value of its own.
    """
    return field(default=before, metadata={"key": Key(doc=doc, **properties)})


def section(*, before: Callable[[], Any] | None = None, **properties: Any) -> Any:
    """A section of keys, with the properties of `Section`; `before` makes it for checkpoints older than the section."""
    return field(default_factory=before or MISSING, metadata={"section": Section(**properties)})  # type: ignore[call-overload]


def declared(part: Any) -> Key:
    """The declaration of a dataclass field that is a key."""
    found = part.metadata["key"]
    assert isinstance(found, Key)
    return found


VARIANTS: dict[str, dict[str, type[Any]]] = {"model": {}, "optimizer": {}, "scheduler": {}}
"""Sections whose `name` decides which keys they have, and the class that declares these keys for each name."""


def variant(section: str, *names: str) -> Callable[[type[Any]], type[Any]]:
    """Class decorator: the section has the keys of this class where its `name` is one of `names`."""

    def enter(kind: type[Any]) -> type[Any]:
        VARIANTS[section] |= dict.fromkeys(names, kind)
        return kind

    return enter
