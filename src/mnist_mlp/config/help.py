"""Help text of a command, in 80 columns: examples, the options of each group, and every key.

`--help` prints all of it, `--help optimizer model.hidden` these parts only.
"""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.commands import SCHEMAS
from mnist_mlp.config.declare import VARIANTS
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import Entry, global_groups, keys, sections
from mnist_mlp.config.messages import nearest
from mnist_mlp.config.schema import CONFIGS, Config

WIDTH = 80
FLAGS = ("--help", "-h")
LAUNCHERS = "hydra/launcher"
# Options of groups that are registered in Python, not files in configs/.
REGISTERED = {
    LAUNCHERS: {
        "basic": "One job of a sweep after another.",
        "stacked": "Trains jobs together, as one stacked network, if their networks have the same shape.",
    }
}


def help_for(command: str, topics: Sequence[str] = ()) -> str:
    """Help text of a command, a name in `SCHEMAS`; only of `topics` (groups, sections, keys) if any are given.

    Raises:
        ConfigError: there is no such topic.
    """
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose(command, return_hydra_config=True)
    schema = SCHEMAS[command]
    groups = list(dict.fromkeys([*sections(Config), *global_groups(), LAUNCHERS])) if issubclass(schema, Config) else []
    groups = [group for group in groups if _options(group)]
    entries = _keys_in_order(schema)
    if not topics:
        parts = [str(OmegaConf.load(CONFIGS / "hydra" / "help" / f"{command}.yaml").template).strip()]
        if groups:
            parts += ["Groups, chosen by group=option (* is the default):", *_groups_text(groups, composed)]
        return "\n\n".join([*parts, "Keys, set by key=value:", "\n".join(_key_text(key, composed) for key in entries)])
    parts = []
    for topic in (name.partition("=")[0].lstrip("+~") for name in topics):
        chosen = [entry for entry in entries if f"{entry.name}.".startswith(f"{topic}.")]
        if topic not in groups and not chosen:
            known = [*groups, *sections(schema), *(entry.name for entry in entries)]
            raise ConfigError(f"--help {topic}: expected a group, a section or a key{nearest(topic, known)}")
        parts += _groups_text([topic] if topic in groups else [], composed)
        if chosen:
            parts.append("\n".join(_key_text(entry, composed) for entry in chosen))
    return "\n\n".join(parts)


def _keys_in_order(schema: type[Any]) -> list[Entry]:
    """Keys in the order of the help: those of this command alone, those of train.py, those of `lightning.Trainer`."""
    own = {part.name for part in fields(schema)} - {part.name for part in fields(Config)}

    def rank(entry: Entry) -> int:
        section = entry.name.partition(".")[0]
        return 0 if section in own else 2 if section == "trainer" else 1

    return sorted(keys(schema).values(), key=rank)


def _options(group: str) -> list[Path]:
    return sorted((CONFIGS / group).glob("*.yaml"))


def _descriptions(group: str) -> dict[str, str]:
    """The one-line description of each option of a group."""
    return REGISTERED.get(group, {}) | {path.stem: first_comment(path) for path in _options(group)}


def _groups_text(groups: Sequence[str], composed: DictConfig) -> list[str]:
    chosen = composed.hydra.runtime.choices
    parts = []
    for group in groups:
        marked = {
            f" {'*' if name == chosen.get(group) else ' '}{name}": line for name, line in _descriptions(group).items()
        }
        parts.append("\n".join([group, *(_columns(name, line, indent=19) for name, line in marked.items())]))
    return parts


def first_comment(path: Path) -> str:
    """The first sentence of the comment at the top of a YAML file."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if lines and line.startswith("#  "):  # an example
            break
        if not re.match(r"# *(@|yaml-language-server)", line):
            lines.append(line.lstrip("# "))
    return re.split(r"(?<=[.?!]) (?=[A-Z`])", " ".join(lines), maxsplit=1)[0]


def _key_text(entry: Entry, composed: DictConfig) -> str:
    key = entry.key
    allowed = (
        [", ".join(key.choices)]
        if key.choices
        else [entry.type.replace("dict[str, Any]", "dict").replace("Any", "").replace("None", "null")]
    )
    allowed += [f"{limit.sign} {limit.bound}" for limit in key.limits]
    words = ", ".join(word for word in allowed if word)
    first = _setting(entry, composed) + (f"   ({words})" if words else "")
    return "\n".join(
        [
            *textwrap.wrap(first, WIDTH, initial_indent=" ", subsequent_indent=" " * 5),
            textwrap.fill(key.doc, WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5),
        ]
    )


def _setting(entry: Entry, composed: DictConfig) -> str:
    """`key=default`, quoted for a shell; preceded by `section=option` if the default option lacks this key.

    With a `+` if no YAML file has it: then it has the default of its declaration."""
    section, _, own = entry.name.rpartition(".")
    node: Any = (OmegaConf.select(composed, section) if section else composed) or {}
    if own in node:
        return shlex.quote(f"{entry.name}={_default(node, own)}")
    variants = VARIANTS.get(section, {}).items()
    for option in [option for option, kind in variants if own in {part.name for part in fields(kind)}]:
        path = CONFIGS / section / f"{option}.yaml"
        if path.is_file() and own in (given := OmegaConf.load(path)):
            return f"{section}={option} {shlex.quote(f'{entry.name}={_default(given, own)}')}"
    return shlex.quote(f"+{entry.name}={json.dumps(entry.default, separators=(',', ':'))}")


def _default(node: Any, own: str) -> str:
    value = OmegaConf.to_container(node, resolve=False)[own]  # type: ignore[index, call-overload]
    if isinstance(value, str):
        found = re.fullmatch(r"\$\{project:(.*)\}", value)
        return found[1] if found else value
    return "..." if isinstance(value, dict) and value else json.dumps(value, separators=(",", ":"))


def _columns(name: str, text: str, indent: int) -> str:
    lines = textwrap.wrap(text, WIDTH - indent) or [""]
    head = f"{name:<{indent}}" if len(name) < indent else f"{name}\n{' ' * indent}"
    return ("\n" + " " * indent).join([head + lines[0], *lines[1:]]).rstrip()
