"""Declaration of a configuration key: its documentation, its limits and its properties.

A property is a fact about a key that some part of the project depends on: may it change on resume? may the networks of
a stack differ in it? It is declared once, with the key; `mnist_mlp.config.keys` looks it up.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Section:
    """Properties of all keys of a section."""

    stackable: bool = False
    """The engine supports this section for a stack of networks. A run that has a section with stackable=False is
    not stacked. The default is False, so a section that you add is not stacked until you set it."""
    in_hparams: bool = False
    """Its keys are columns of TensorBoard's HParams table."""


class Limit(NamedTuple):
    """A lower or upper limit of a number: in words, as a sign, and as a comparison with the bound."""

    words: str
    sign: str
    bound: float | None
    holds: Callable[[Any, Any], bool]


@dataclass(frozen=True, kw_only=True)
class Key:
    """The declaration of one key. The default of each property is the cautious one."""

    doc: str
    choices: Collection[str] = ()
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    count_or_share: bool = False
    """An int is a number of batches; a float is a fraction of all batches, from 0 to 1."""
    path: bool = False
    """The value is a file or folder; a leading `~` is the home directory."""
    run_limit: Literal["steps", "seconds"] | None = None
    """It limits the length of a run, in optimizer steps (or epochs) or in time."""
    may_change_on_resume: bool = False
    """A resumed run may have a new value: that of the length, the device or the place of the files. The steps that it
    has made remain valid, although runs that differ in the key from the start are different configurations. Keys with
    affects_result=False may change anyway. A limit in steps may change only under a schedule that does not depend on
    the length of the run."""
    affects_result: bool = True
    """Runs that differ in it train different networks. If False (output folders, loggers), the leaderboard treats such
    runs as one configuration, and the key may change on resume."""
    per_member: bool = False
    """The members of a stack, networks that train together as one batched network, may differ in it."""
    not_passed_on: bool = False
    """The configured value does not go to `lightning.Trainer` as it is: `training/trainer.py` and the engine pass a
    value computed from it, or apply the key themselves."""
    stackable: bool = False
    """`Section.stackable`, for a key outside of sections."""
    in_hparams: bool = False
    """It is a column of TensorBoard's HParams table, even if `Section.in_hparams` is False."""
    shown_by_default: bool = False
    """The HParams table shows this column initially."""

    @property
    def limits(self) -> list[Limit]:
        """The limits that are set."""
        every = (
            Limit("above", ">", self.above, operator.gt),
            Limit("at least", ">=", self.at_least, operator.ge),
            Limit("below", "<", self.below, operator.lt),
            Limit("at most", "<=", self.at_most, operator.le),
        )
        return [limit for limit in every if limit.bound is not None]


def key(doc: str, *, legacy_default: Any = MISSING, **properties: Any) -> Any:
    """A dataclass field for a configuration key: one line of documentation, then the properties of `Key`.

    `legacy_default` is the value where no YAML file sets one, and in checkpoints that are older than the key.
    """
    return field(default=legacy_default, metadata={"key": Key(doc=doc, **properties)})


def section(*, legacy_default: Callable[[], Any] | None = None, **properties: Any) -> Any:
    """A dataclass field for a section of keys, with the properties of `Section`.

    `legacy_default` makes the section for checkpoints that are older than it.
    """
    return field(default_factory=legacy_default or MISSING, metadata={"section": Section(**properties)})  # type: ignore[call-overload]


def declared(part: Any) -> Key:
    """The declaration in a dataclass field made by `key`."""
    found = part.metadata["key"]
    assert isinstance(found, Key)
    return found


VARIANTS: dict[str, dict[str, type[Any]]] = {"model": {}, "optimizer": {}, "scheduler": {}}
"""For each section whose `name` determines its other keys: the class that declares them, by name."""


def variant(section: str, *names: str) -> Callable[[type[Any]], type[Any]]:
    """Class decorator: the section has the keys of this class if its `name` is one of `names`."""

    def register(kind: type[Any]) -> type[Any]:
        VARIANTS[section] |= dict.fromkeys(names, kind)
        return kind

    return register
