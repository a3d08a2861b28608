"""Composition: from overrides and the YAML files in configs/, by Hydra, to a typed configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from hydra.utils import to_absolute_path
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mnist_mlp.config.composition_errors import COMPOSITION_ERRORS, PACKAGE_HEADER, explain_composition
from mnist_mlp.config.declare import VARIANTS
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import global_groups, keys, sections
from mnist_mlp.config.messages import explain
from mnist_mlp.config.overrides import quoted
from mnist_mlp.config.parsing import Schema, check_monitors, from_dict
from mnist_mlp.config.schema import CONFIGS, PROJECT, Config


def composed(*overrides: str) -> Config:
    """The configuration of `python src/train.py <overrides>`, for a notebook or a script that calls `training.train`.

    Raises:
        ConfigError: as `parse`.
    """
    application = GlobalHydra.instance()
    hydra_of_application, application.hydra = application.hydra, None  # a notebook may have initialised Hydra itself
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return parse(compose("train", quote_where_needed(list(overrides))), Config)
    except COMPOSITION_ERRORS as error:
        raise ConfigError(explain_composition(error)) from error
    finally:
        GlobalHydra.instance().hydra = hydra_of_application


def parse(config: DictConfig, schema: type[Schema]) -> Schema:
    """The typed and checked configuration, an instance of `schema`; Hydra's own section is left out.

    Raises:
        ConfigError: one line that names the key, what is allowed and what was given.
    """
    try:
        values = {str(name): _resolved(config, name) for name in config if name != "hydra"}
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, schema)) from error
    # `experiment` and `debug` are groups without a section of that name: their files set keys of other sections.
    for group in set(global_groups()) - set(sections()):
        if group in values:
            raise ConfigError(f"{group}: the chosen file puts its keys below {group}; {PACKAGE_HEADER}")
    typed = from_dict(_with_paths(values, schema), schema)
    if isinstance(typed, Config) and typed.resume is None:
        check_monitors(typed)
    return typed


def _resolved(config: DictConfig, name: Any) -> Any:
    """The value of a key or section as plain values, as `OmegaConf.to_container` gives it."""
    if OmegaConf.is_missing(config, name):
        return MISSING
    value = config[name]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _with_paths(values: dict[str, Any], schema: type[Any]) -> dict[str, Any]:
    """`values`, changed in place: paths are absolute, seen from where the command was typed; `~` is the home directory.

    Raises:
        ConfigError: a path is an empty text.
    """
    for name, entry in keys(schema).items():
        section, _, own = name.rpartition(".")
        held = values.get(section) if section else values
        if entry.key.path and isinstance(held, dict) and isinstance(path := held.get(own), str):
            if not path:  # as from `data.dir=$UNSET`, a shell variable that is not set
                raise ConfigError(f"{name}: expected a file or folder, got an empty text")
            held[own] = os.path.normpath(to_absolute_path(os.path.expanduser(path)))
    return values


def quote_where_needed(arguments: list[str]) -> list[str]:
    """The arguments, with quotes around values that Hydra cannot parse without them: `data.dir=~/größe (1)`.

    A value with brackets, commas or quotes is left alone, as it may be a mistyped list; Hydra refuses it.
    `experiment=null` becomes `experiment=[]`, which chooses no option either.

    Raises:
        ConfigError: the value for a group is not the name of an option; Hydra's own error does not name the group.
    """
    return [_quoted_where_needed(argument) for argument in arguments]


def _quoted_where_needed(argument: str) -> str:
    key, sign, value = argument.partition("=")
    if not sign or argument.startswith("-"):
        return argument
    parser = OverridesParser.create()
    try:
        override = parser.parse_override(argument)
        if key in global_groups() and override.value() is None:
            return f"{key}=[]"  # no option; Hydra takes null in a file only
        _refuse_wrong_option(override)
    except HydraException:
        if re.search(r"""[\[\]{},'"]|\$\{""", value):
            return argument
        in_quotes = f"{key}={quoted(value)}"
        try:
            parser.parse_override(in_quotes)
        except HydraException:
            return argument
        return in_quotes
    return argument


def _refuse_wrong_option(override: Override) -> None:
    group = override.key_or_group
    options = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")) if re.fullmatch(r"\w+", group) else []
    if not options or override.is_sweep_override() or override.is_delete():
        return
    value = override.value()
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str | QuotedString) for name in names):
        raise ConfigError(
            f"{override.input_line}: expected an option of the group {group}: one of {', '.join(options)}"
        )
    if len(names) > 1 and group in VARIANTS:
        raise ConfigError(f"{override.input_line}: expected one option of the group {group}, got {len(names)}")


def without_sections(config: DictConfig, *sections: str) -> DictConfig:
    """A copy without these sections; interpolations to other keys still work."""
    # Any: a name may be a number, if a YAML file has a number as a key.
    kept: list[Any] = [name for name in config if name not in sections]
    return OmegaConf.masked_copy(config, kept)


@contextmanager
def hydra_settings_of(job: DictConfig) -> Iterator[None]:
    """During the block `${hydra:...}` means the settings of this job of a sweep, as it will while the job runs."""
    hydra = HydraConfig.instance()
    before = hydra.cfg
    hydra.cfg = job  # type: ignore[assignment]  # not `set_config`, which copies it
    try:
        with open_dict(job):
            yield
    finally:
        hydra.cfg = before


# ${project:path} in the YAML files: a path relative to the project, wherever the command runs.
OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)
