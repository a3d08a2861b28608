"""JSON Schemas of the files in configs/, generated from the typed schema: editors complete keys and mark wrong values.

`make schemas` writes them to configs/schemas/, and a line at the top of each YAML file that names its schema for the
YAML language server (VS Code, Neovim, Emacs, PyCharm).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from mnist_mlp.config.commands import SCHEMAS
from mnist_mlp.config.keys import Entry, global_groups, keys, sections
from mnist_mlp.config.schema import CONFIGS, Config

FOLDER = CONFIGS / "schemas"
HEADER = "# yaml-language-server: $schema="
TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}
Schema = dict[str, Any]


def schemas() -> dict[str, Schema]:
    """All schemas by name: one for each section, one for the configuration of each command, one for Hydra's own."""
    by_section = {name: _object_schema(_keys_of(name, Config), name) for name in sections(Config)}
    by_command = {name: _command_schema(schema) for name, schema in SCHEMAS.items()}
    return by_section | by_command | {"hydra": {"type": "object"}}


def schema_name(path: Path) -> str:
    """Name of the schema that a file in configs/ must satisfy."""
    folder = path.relative_to(CONFIGS).parts[0]
    if folder in global_groups():
        return "train"
    if folder in sections(Config):
        return folder
    if path.stem in SCHEMAS and path.parent == CONFIGS:
        return path.stem
    package = re.search(r"^# @package (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return package[1] if package is not None and package[1] in sections(Config) else "hydra"


def _keys_of(section: str, schema: type[Any]) -> list[Entry]:
    return [entry for name, entry in keys(schema).items() if name.startswith(f"{section}.")]


def _command_schema(schema: type[Any]) -> Schema:
    parts = {name: _object_schema(_keys_of(name, schema), name) for name in sections(schema)}
    top = _object_schema([entry for name, entry in keys(schema).items() if "." not in name])
    top["properties"] |= parts | {"hydra": {"type": "object"}}
    return top


def _object_schema(entries: list[Entry], prefix: str = "") -> Schema:
    """Schema of an object with these keys only, all optional; `prefix` is the name of their section."""
    properties: Schema = {}
    for entry in entries:
        name, _, nested = entry.name.removeprefix(f"{prefix}.").partition(".")
        if nested:
            below = f"{prefix}.{name}"
            properties[name] = _object_schema([other for other in entries if other.name.startswith(f"{below}.")], below)
        else:
            properties[name] = _property_schema(entry)
    properties["defaults"] = {"type": "array", "description": "the files that this one is composed of, in order"}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _property_schema(entry: Entry) -> Schema:
    kinds = [_type_schema(kind, entry) for kind in entry.type.split(" | ")]
    # An interpolation ${...} may have any type.
    reference = {"type": "string", "pattern": r"^\$\{"}
    described: Schema = {"description": entry.key.doc}
    return described if {} in kinds else described | {"anyOf": [*kinds, reference]}


def _type_schema(name: str, entry: Entry) -> Schema:
    if name == "None":
        return {"type": "null"}
    if held := re.fullmatch(r"list\[(\w+)\]", name):
        return {"type": "array", "items": _type_schema(held[1], entry)}
    if name.startswith("dict["):
        return {"type": "object"}
    if name not in TYPES:
        return {}
    kind: Schema = {"type": TYPES[name]}
    if entry.key.choices:
        kind["enum"] = list(entry.key.choices)
    if name in ("int", "float"):
        words = {">": "exclusiveMinimum", ">=": "minimum", "<": "exclusiveMaximum", "<=": "maximum"}
        kind |= {words[limit.sign]: limit.bound for limit in entry.key.limits}
        if name == "float" and entry.key.count_or_share:
            kind["maximum"] = 1
    return kind


def text_of(schema: Schema) -> str:
    return json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **schema}, indent=1) + "\n"


def with_header(path: Path) -> str:
    """Text of a YAML file with the line that names its schema; below `# @package`, which must be the first line."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(HEADER)]
    place = 1 if lines and lines[0].startswith("# @package") else 0
    schema = os.path.relpath(FOLDER / f"{schema_name(path)}.json", path.parent)
    return "\n".join([*lines[:place], HEADER + Path(schema).as_posix(), *lines[place:]]) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, schema in schemas().items():
        (FOLDER / f"{name}.json").write_text(text_of(schema), encoding="utf-8")
    for path in CONFIGS.rglob("*.yaml"):
        path.write_text(with_header(path), encoding="utf-8")


if __name__ == "__main__":
    main()
