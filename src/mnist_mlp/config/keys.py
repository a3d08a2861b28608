"""Configuration keys by their dotted names, and the sets of keys that have a property declared in the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from mnist_mlp.config.declare import VARIANTS, Key, Section, declared
from mnist_mlp.config.schema import CONFIGS, Config

GLOBAL = "# @package _global_"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A key with its dotted name, its type as text, and the declarations of the key and of its section."""

    name: str
    type: str
    key: Key
    default: Any
    """`legacy_default`, or `dataclasses.MISSING`"""
    section: Section
    """the default one for a key outside of sections"""


def keys(schema: type[Any] = Config) -> dict[str, Entry]:
    """All keys of a schema by name, those of every variant included."""
    return _keys(schema)  # type: ignore[arg-type]  # mypy takes type[Any] for unhashable


@cache
def _keys(schema: type[Any]) -> dict[str, Entry]:
    kinds, entries = get_type_hints(schema), {}
    for part in fields(schema):
        if part.name not in sections(schema):
            entries[part.name] = _entry(part.name, part, Section())
            continue
        held = part.metadata.get("section", Section())
        for kind in VARIANTS.get(part.name, {}).values() or [kinds[part.name]]:
            entries |= _section_entries(part.name, kind, held)
    return entries


def _section_entries(name: str, kind: type[Any], section: Section) -> dict[str, Entry]:
    kinds, entries = get_type_hints(kind), dict[str, Entry]()
    for own in fields(kind):
        dotted = f"{name}.{own.name}"
        if is_dataclass(kinds[own.name]):
            entries |= _section_entries(dotted, kinds[own.name], section)
        else:
            entries[dotted] = _entry(dotted, own, section)
    return entries


def _entry(name: str, part: Field[Any], section: Section) -> Entry:
    return Entry(name=name, type=str(part.type), key=declared(part), default=part.default, section=section)


@cache
def keys_where(holds: Callable[[Entry], bool]) -> frozenset[str]:
    """Names of the keys of train.py for which the predicate `holds` is true: one of the functions below."""
    return frozenset(name for name, entry in keys().items() if holds(entry))


def may_change_on_resume(entry: Entry) -> bool:
    return entry.key.may_change_on_resume or not entry.key.affects_result


def affects_result(entry: Entry) -> bool:
    return entry.key.affects_result


def per_member(entry: Entry) -> bool:
    return entry.key.per_member


def limits_run(entry: Entry) -> bool:
    return entry.key.run_limit is not None


def limits_steps(entry: Entry) -> bool:
    return entry.key.run_limit == "steps"


def not_passed_on(entry: Entry) -> bool:
    return entry.key.not_passed_on


def in_hparams(entry: Entry) -> bool:
    return entry.key.in_hparams or entry.section.in_hparams


def shown_by_default(entry: Entry) -> bool:
    return entry.key.shown_by_default


def sections(schema: type[Any] = Config) -> tuple[str, ...]:
    """Names of the sections of a schema, in its order."""
    return _sections(schema)  # type: ignore[arg-type]  # as above


@cache
def _sections(schema: type[Any]) -> tuple[str, ...]:
    return tuple(name for name, kind in get_type_hints(schema).items() if is_dataclass(kind))


@cache
def keys_without_effect() -> frozenset[str]:
    """Keys that do not affect the result of a run."""
    return frozenset(keys()) - keys_where(affects_result)


@cache
def sections_without_effect() -> frozenset[str]:
    """Sections, and keys outside of sections, that do not affect the result of a run."""
    computing = {name.partition(".")[0] for name in keys_where(affects_result)}
    return frozenset({name.partition(".")[0] for name in keys()} - computing)


def unstackable(config: Any) -> list[str]:
    """Sections, and keys outside of sections, that the engine does not support for a stack of networks."""
    stated = {part.name: part.metadata.get("key") or part.metadata.get("section") for part in fields(config)}
    return [name for name, declaration in stated.items() if declaration is None or not declaration.stackable]


@cache
def global_groups() -> tuple[str, ...]:
    """Groups whose files are `# @package _global_` and set keys of several sections: experiment, sweep, debug."""
    files = sorted(CONFIGS.glob("*/*.yaml"))
    return tuple(dict.fromkeys(file.parent.name for file in files if GLOBAL in file.read_text(encoding="utf-8")))


def depends_on_length(scheduler: str) -> bool:
    """Whether the learning rate of a step depends on the length of the run, under the schedule of this name.

    True unless the schedule declares `independent_of_length`.
    """
    kind = VARIANTS["scheduler"].get(scheduler)
    return kind is None or not kind.independent_of_length


def with_legacy_defaults(values: Mapping[str, Any], schema: type[Any] = Config) -> dict[str, Any]:
    """The configuration of an older run, with `legacy_default` for each key that is newer than the run."""
    complete = dict(values)
    for part, kind in _fields_and_kinds(schema):  # type: ignore[arg-type]  # as above
        given = values.get(part.name)
        if part.name in VARIANTS:
            kind = VARIANTS[part.name].get(str(given.get("name"))) if isinstance(given, Mapping) else None
        if isinstance(given, Mapping) and is_dataclass(kind):
            complete[part.name] = with_legacy_defaults(given, kind)  # type: ignore[arg-type]  # a class
        elif part.name not in values and part.default is not MISSING:
            complete[part.name] = part.default
        elif part.name not in values and part.default_factory is not MISSING:
            complete[part.name] = asdict(part.default_factory())
    return complete


@cache
def _fields_and_kinds(schema: type[Any]) -> list[tuple[Field[Any], Any]]:
    kinds = get_type_hints(schema)
    return [(part, kinds[part.name]) for part in fields(schema)]


def leaves(section: Any, prefix: str = "") -> Iterator[tuple[str, Any, Key]]:
    """Dotted name, value and declaration of each key in `section`, a configuration or a part of one."""
    for part in fields(section):
        name, value = prefix + part.name, getattr(section, part.name)
        if is_dataclass(value):
            yield from leaves(value, name + ".")
        else:
            yield name, value, declared(part)
