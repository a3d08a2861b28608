"""What an editor knows of the files under configs/ is what the typed schema says now."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from mnist_mlp.config import json_schema
from mnist_mlp.config.json_schema import FOLDER, schema_name, text_of, with_header
from mnist_mlp.config.schema import CONFIGS

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


def test_keys_of_every_option_of_a_group_are_completed() -> None:
    assert {"betas", "momentum", "lr"} <= schemas()["optimizer"]["properties"].keys()
    assert "decay" in schemas()["train"]["properties"]["averaging"]["properties"]
