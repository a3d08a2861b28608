"""Parsing: from the configuration that Hydra composed to a typed one, with every check. No other code needs OmegaConf.

The checks do not depend on this machine; `mnist_mlp.distributed.preflight` has those that do.
"""

from __future__ import annotations

import json
import math
import os
import re
from copy import copy, deepcopy
from dataclasses import fields, make_dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from mnist_mlp.config.commands import EvaluateConfig
from mnist_mlp.config.declare import VARIANTS, Key
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import global_groups, keys, leaves, sections
from mnist_mlp.config.messages import (
    COMPOSITION_ERRORS,
    PACKAGE_HEADER,
    as_text,
    explain,
    explain_composition,
    nearest,
    not_a_section,
    one_of,
    wrong_type,
)
from mnist_mlp.config.overrides import quote_where_needed
from mnist_mlp.config.schema import CONFIGS, PROJECT, AdamConfig, Config, SGDConfig

Schema = TypeVar("Schema")


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


def parse(composed: DictConfig, schema: type[Schema]) -> Schema:
    """The typed and checked configuration, an instance of `schema`.

    Raises:
        ConfigError: one line that names the key, what is allowed and what was given.
    """
    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, schema)) from error
    assert isinstance(values, dict)
    for group in set(global_groups()).difference(
        sections()
    ):  # their files set keys of other sections; a section of this name is a mistake
        if group in values:
            raise ConfigError(f"{group}: the chosen file puts its keys below {group}; {PACKAGE_HEADER}")
    return from_dict(_with_paths({str(name): value for name, value in values.items()}, schema), schema)


def _with_paths(values: dict[str, Any], schema: type[Any]) -> dict[str, Any]:
    """`values` with the home directory for a leading `~` of a path."""
    for name, entry in keys(schema).items():
        section, _, own = name.rpartition(".")
        held = values.get(section) if section else values
        if entry.key.path and isinstance(held, dict) and isinstance(path := held.get(own), str):
            if not path:  # as from `data.dir=$UNSET`, a shell variable that is not set
                raise ConfigError(f"{name}: expected a file or folder, got an empty text")
            held[own] = os.path.expanduser(path)
    return values


def from_dict(values: dict[str, Any], schema: type[Schema]) -> Schema:
    """The inverse of `dataclasses.asdict`, with every check; also for the configuration in a checkpoint.

    Raises:
        ConfigError: as `parse`.
    """
    for section in sections(schema):
        if section in values and not isinstance(values[section], dict):
            raise ConfigError(not_a_section(section, values[section]))
    try:
        config: Any = _from_known_sections(values, schema)
        if config is None:
            config = OmegaConf.to_object(OmegaConf.merge(_typed(values, schema), values))
    except ValidationError as error:
        raise ConfigError(wrong_type(str(error.full_key), values, schema)) from error
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, schema)) from error
    assert isinstance(config, schema)
    types = {name: entry.type for name, entry in keys(schema).items()}
    for name, value, limits in leaves(config):
        items = value if isinstance(value, list) else [value]
        if types[name].startswith("list") and any(isinstance(item, list | dict) for item in items):
            raise ConfigError(wrong_type(name, values, schema))  # OmegaConf does not check nested lists
        for item in items:
            _check_limits(name, item, limits)
    if isinstance(config, Config):
        _check_together(config)
    if isinstance(config, EvaluateConfig) and config.committee and not isinstance(config.checkpoint, list):
        raise ConfigError("committee: expected several checkpoints beside it, as checkpoint=[a,b], got one")
    return config


def _from_known_sections(values: dict[str, Any], schema: type[Schema]) -> Schema | None:
    """The configuration, merged section by section with a cache: thousands of jobs of a sweep have most sections equal.

    None if a value is wrong: merging the whole configuration then raises the error.
    """
    parts, kinds = {}, get_type_hints(schema)
    rest = {name: value for name, value in values.items() if name not in sections(schema)}
    try:
        for name in sections(schema):
            variants = VARIANTS.get(name)
            kind = variants[values[name]["name"]] if variants else kinds[name]
            parts[name] = deepcopy(_section(kind, json.dumps(values[name])))  # type: ignore[arg-type]
        top = _without_sections(schema)  # type: ignore[arg-type]
        plain = OmegaConf.to_container(OmegaConf.merge(top, rest), throw_on_missing=True)
    except (OmegaConfBaseException, KeyError, TypeError, ValueError):
        return None
    assert isinstance(plain, dict)
    return schema(**parts, **{str(name): value for name, value in plain.items()})


@lru_cache(maxsize=1024)
def _section(kind: type[Any], content: str) -> Any:
    """A section as an instance of `kind`; `content` has its values as JSON, which is hashable."""
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), json.loads(content)))


@cache
def _without_sections(schema: type[Any]) -> DictConfig:
    """The structured configuration of the keys outside of sections."""
    kinds = get_type_hints(schema)
    keys_alone = [(part.name, kinds[part.name], copy(part)) for part in fields(schema) if "key" in part.metadata]
    return OmegaConf.structured(make_dataclass(schema.__name__, keys_alone, kw_only=True))  # type: ignore[no-any-return]


def _typed(values: dict[str, Any], schema: type[Any]) -> DictConfig:
    """The structured configuration of a schema; `model.name` and the like determine the variants of those sections."""
    typed: DictConfig = OmegaConf.structured(schema)
    if issubclass(schema, Config):
        for section, variants in VARIANTS.items():
            name = (values.get(section) or {}).get("name")
            if not isinstance(name, str) or name not in variants:
                missing = f"; a file under {section}/ has to set it, as in name: {next(iter(variants))}"
                got = as_text(name) + (missing if name is None else nearest(name, variants))
                raise ConfigError(f"{section}.name: expected {one_of(variants)}, got {got}")
            typed[section] = OmegaConf.structured(variants[name])
    return typed


def _check_together(config: Config) -> None:
    """Checks that concern several keys, or the format of a text."""
    trainer, optimizer = config.trainer, config.optimizer
    _check_devices(trainer.devices)
    if trainer.max_time is not None and not re.fullmatch(r"\d\d:\d\d:\d\d:\d\d", trainer.max_time):
        raise ConfigError(f"trainer.max_time: expected DD:HH:MM:SS, as 00:00:10:00, got {trainer.max_time!r}")
    if isinstance(optimizer, SGDConfig) and optimizer.nesterov and optimizer.momentum == 0:
        raise ConfigError("optimizer.nesterov: expected optimizer.momentum above 0 beside it, got 0")
    if isinstance(optimizer, AdamConfig) and len(optimizer.betas) != 2:
        raise ConfigError(f"optimizer.betas: expected two numbers, got {optimizer.betas}")
    if config.averaging.decay > 0 and trainer.precision == "bf16-true":
        raise ConfigError(
            "averaging.decay: expected 0 under trainer.precision=bf16-true, too coarse for a running mean"
        )


def _check_devices(devices: Any) -> None:
    listed = isinstance(devices, list) and devices and all(type(number) is int for number in devices)
    counted = devices == "auto" or (type(devices) is int and devices > 0)
    if not (listed or counted):
        raise ConfigError(f"trainer.devices: expected a number from 1, auto, or a list as [0,1], got {devices!r}")


def _check_limits(name: str, value: Any, limits: Key) -> None:
    if value is None:
        return
    choices = limits.choices
    if choices and value not in choices:
        raise ConfigError(f"{name}: expected {one_of(choices)}, got {as_text(value)}{nearest(value, choices)}")
    if not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise ConfigError(f"{name}: expected a finite number, got {value}")
    if limits.count_or_share and isinstance(value, float) and not 0 <= value <= 1:
        whole = f", as {name}={round(value)}" if value > 1 else ""
        raise ConfigError(f"{name}: expected a whole number of batches{whole}, or a share from 0.0 to 1.0, got {value}")
    for limit in limits.limits:
        if not limit.holds(value, limit.bound):
            raise ConfigError(f"{name}: expected a number {limit.words} {limit.bound}, got {value}")


def without_sections(composed: DictConfig, *sections: str) -> DictConfig:
    """A copy without these sections; interpolations to other keys still work."""
    return OmegaConf.masked_copy(composed, [str(name) for name in composed if name not in sections])


# ${project:path} in the YAML files: a path relative to the project, wherever the command runs.
OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)
