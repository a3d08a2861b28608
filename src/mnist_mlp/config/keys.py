"""The keys of a configuration by their dotted names, and which of them have a property: read from the declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from mnist_mlp.config.declare import VARIANTS, Key, Section, declared
from mnist_mlp.config.schema import CONFIGS, Config


@dataclass(frozen=True, kw_only=True)
class Entry:
    name: str
    """dotted, as on the command line"""
    type: str
    """as it is written in the schema"""
    key: Key
    section: Section
    """of the section that it is in; the plain one for a key at the top"""


def keys(schema: type[Any] = Config) -> dict[str, Entry]:
    """Every key that any configuration of this schema may have."""
    kinds, entries = get_type_hints(schema), {}
    for part in fields(schema):
        if part.name not in sections(schema):
            entries[part.name] = _entry(part.name, part, Section())
            continue
        held = part.metadata.get("section", Section())
        for kind in VARIANTS.get(part.name, {}).values() or [kinds[part.name]]:
            entries |= _of_section(part.name, kind, held)
    return entries


def _of_section(name: str, kind: type[Any], section: Section) -> dict[str, Entry]:
    kinds, entries = get_type_hints(kind), dict[str, Entry]()
    for own in fields(kind):
        dotted = f"{name}.{own.name}"
        if is_dataclass(kinds[own.name]):
            entries |= _of_section(dotted, kinds[own.name], section)
        else:
            entries[dotted] = _entry(dotted, own, section)
    return entries


def _entry(name: str, part: Field[Any], section: Section) -> Entry:
    return Entry(name=name, type=str(part.type), key=declared(part), section=section)


@cache
def keys_where(holds: Callable[[Entry], bool]) -> frozenset[str]:
    """The names of a training run's keys for whose declaration `holds`; one of the functions below, or like them."""
    return frozenset(name for name, entry in keys().items() if holds(entry))


def may_change(entry: Entry) -> bool:
    return entry.key.may_change or not entry.key.affects_result


def affects_result(entry: Entry) -> bool:
    return entry.key.affects_result


def per_member(entry: Entry) -> bool:
    return entry.key.per_member


def limits_run(entry: Entry) -> bool:
    return entry.key.run_limit is not None


def limits_steps(entry: Entry) -> bool:
    return entry.key.run_limit == "steps"


def by_engine(entry: Entry) -> bool:
    return entry.key.by_engine


def in_hparams(entry: Entry) -> bool:
    return entry.key.in_hparams or entry.section.in_hparams


def shown_first(entry: Entry) -> bool:
    return entry.key.shown_first


def sections(schema: type[Any] = Config) -> tuple[str, ...]:
    """The names of the sections, in their order."""
    return tuple(name for name, kind in get_type_hints(schema).items() if is_dataclass(kind))


@cache
def sections_without_effect() -> frozenset[str]:
    """Sections, and keys at the top, that say nothing about what a run computes."""
    computing = {name.partition(".")[0] for name in keys_where(affects_result)}
    return frozenset({name.partition(".")[0] for name in keys()} - computing)


def unstackable(config: Any) -> list[str]:
    """The sections, and keys at the top, of which a stack of networks takes no account."""
    stated = {part.name: part.metadata.get("key") or part.metadata.get("section") for part in fields(config)}
    return [name for name, declaration in stated.items() if declaration is None or not declaration.stackable]


@cache
def bundles() -> tuple[str, ...]:
    """Groups whose options set keys of several sections: experiment, sweep, debug."""
    folders = sorted({path.parent.name for path in CONFIGS.glob("*/*.yaml")})
    return tuple(name for name in folders if name not in (*sections(), "hydra"))


def depends_on_length(scheduler: str) -> bool:
    """Whether the learning rate of a step may depend on how many steps follow, under the schedule of this name.

    It does unless the schedule states that it does not.
    """
    kind = VARIANTS["scheduler"].get(scheduler)
    return kind is None or not kind.independent_of_length


def leaves(section: Any, prefix: str = "") -> Iterator[tuple[str, Any, Key]]:
    """Each key below `section`, a configuration or a part of one: its dotted name, its value, its declaration."""
    for part in fields(section):
        name, value = prefix + part.name, getattr(section, part.name)
        if is_dataclass(value):
            yield from leaves(value, name + ".")
        else:
            yield name, value, declared(part)
