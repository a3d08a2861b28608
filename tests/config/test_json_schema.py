"""What an editor knows of the files under configs/ is what the typed schema says now."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mnist_mlp.config import json_schema
from mnist_mlp.config.compose import composed
from mnist_mlp.config.declare import VARIANTS
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.json_schema import FOLDER, schema_name, text_of, with_header
from mnist_mlp.config.keys import Entry, keys
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import CONFIGS, Config

schemas = cache(json_schema.schemas)
FILES = sorted(CONFIGS.rglob("*.yaml"))
KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def errors(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """The part of JSON Schema that is used here, in plain words."""
    if "anyOf" in schema:
        found = [errors(value, option, at) for option in schema["anyOf"]]
        return [] if [] in found else [f"{at}: {value!r}"]
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or (kind in ("integer", "number") and isinstance(value, bool))):
        return [f"{at}: no {kind}: {value!r}"]
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    wrong = [value not in schema.get("enum", [value]), kind in ("integer", "number") and not low <= value <= high]
    wrong += ["exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]]
    wrong += ["exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]]
    wrong += ["pattern" in schema and not str(value).startswith("${")]
    own = [f"{at}: {value!r}"] if any(wrong) else []
    for item in value if "items" in schema else []:
        own += errors(item, schema["items"], at)
    for name, held in value.items() if kind == "object" and "properties" in schema else []:
        known = schema["properties"].get(name)
        own += [f"{at}.{name}: unknown"] if known is None else errors(held, known, f"{at}.{name}")
    return own


def content(path: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(path))


def test_the_schemas_are_those_of_the_typed_configuration() -> None:
    written = {path.stem: path.read_text() for path in FOLDER.glob("*.json")}
    assert written == {name: text_of(schema) for name, schema in schemas().items()}, "make schemas writes them anew"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_file_names_its_schema_and_keeps_to_it(path: Path) -> None:
    assert path.read_text() == with_header(path), "make schemas puts the line there"
    assert errors(content(path), schemas()[schema_name(path)]) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("model", {"hiden": [3]}),
        ("model", {"hidden": [0]}),
        ("model", {"hidden": [1.5]}),
        ("model", {"activation": "Relu"}),
        ("optimizer", {"lr": 0}),
        ("optimizer", {"lr": "fast"}),
        ("train", {"trainer": {"max_epoch": 3}}),
        ("train", {"trainer": {"limit_train_batches": 1.5}}),
        ("train", {"optimizer": "sgd"}),
        ("train", {"model": None}),
        ("tune", {"tune": {"trials": 0}}),
    ],
)
def test_what_is_wrong_is_marked(name: str, values: dict[str, Any]) -> None:
    assert len(errors(values, schemas()[name])) == 1


LIMITED = [entry for entry in keys().values() if entry.key.limits]


@cache
def base(*words: str) -> dict[str, Any]:
    return asdict(composed(*words))


def refusal(entry: Entry, value: Any) -> str | None:
    """What is said of a configuration that has the key, with this value, or None."""
    section, _, name = entry.name.rpartition(".")
    owners = [option for option, kind in VARIANTS.get(section, {}).items() if name in kind.__dataclass_fields__]
    values = deepcopy(base(*(f"{section}={option}" for option in owners[:1])))
    held = values
    for part in section.split(".") if section else []:
        held = held[part]
    held[name] = [value, value] if entry.type.startswith("list") else value
    try:
        from_dict(values, Config)
    except ConfigError as error:
        return str(error)
    return None


@st.composite
def numbers_beside_a_limit(draw: st.DrawFn) -> tuple[Entry, int | float]:
    """A number of the key's type: a limit, the next number on either side, or any other."""
    entry = draw(st.sampled_from(LIMITED))
    bound = draw(st.sampled_from(entry.key.limits)).bound
    whole = st.sampled_from([bound - 1, bound, bound + 1]) | st.integers(-10, 10**7)
    beside = [math.nextafter(bound, -math.inf), float(bound), math.nextafter(bound, math.inf)]
    real = st.sampled_from(beside) | st.floats(-10, 100, allow_nan=False)
    if entry.key.count_or_share:
        return entry, draw(whole.map(int) | real)
    return entry, draw(whole.map(int) if "int" in entry.type else real)


@given(numbers_beside_a_limit())
@settings(max_examples=50)
def test_a_number_is_refused_outside_of_its_limits_and_marked_by_the_editor(case: tuple[Entry, int | float]) -> None:
    entry, value = case
    key = entry.key
    inside = (key.above is None or value > key.above) and (key.at_least is None or value >= key.at_least)
    inside &= (key.below is None or value < key.below) and (key.at_most is None or value <= key.at_most)
    inside &= not (key.count_or_share and isinstance(value, float) and value > 1)
    said = refusal(entry, value)
    assert (said is None) == inside, said
    assert said is None or said.startswith(f"{entry.name}: expected a ")
    values: Any = [value, value] if entry.type.startswith("list") else value
    for name in reversed(entry.name.split(".")):
        values = {name: values}
    if "Any" not in entry.type:  # of which an editor knows nothing
        assert (errors(values, schemas()["train"]) == []) == inside


def test_keys_of_every_option_of_a_group_are_completed() -> None:
    assert {"betas", "momentum", "lr"} <= schemas()["optimizer"]["properties"].keys()
    assert "decay" in schemas()["train"]["properties"]["averaging"]["properties"]
