"""Parsing: from plain values, as in a checkpoint, to a typed and checked configuration.

The checks do not depend on this machine; `mnist_mlp.distributed.preflight` has those that do.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from copy import copy, deepcopy
from dataclasses import MISSING, fields, make_dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from mnist_mlp.config.declare import VARIANTS, Key
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import keys, leaves, sections
from mnist_mlp.config.messages import as_text, explain, nearest, not_a_section, one_of, wrong_type
from mnist_mlp.config.schema import (
    CONFIGS,
    METRIC_KINDS,
    AdamConfig,
    CheckpointConfig,
    Config,
    EarlyStoppingConfig,
    SGDConfig,
)

Schema = TypeVar("Schema")


def from_dict(values: dict[str, Any], schema: type[Schema]) -> Schema:
    """The inverse of `dataclasses.asdict`, also for a checkpoint's values; with all checks but `check_monitors`.

    Raises:
        ConfigError: one line that names the key, what is allowed and what was given.
    """
    for name, value in values.items():
        _refuse_keys_other_than_text(name, value)
    given = _keys_outside_of_sections(values, schema)
    for part in fields(schema):  # type: ignore[arg-type]
        if part.name in sections(schema) and (part.name in values or part.default_factory is MISSING):
            given[part.name] = _section(part.name, values, schema)
    config = schema(**given)
    types = {name: entry.type for name, entry in keys(schema).items()}
    for name, value, declaration in leaves(config):
        if types[name].startswith("list") and _depth(value) > types[name].count("list["):
            raise ConfigError(wrong_type(name, values, schema))  # OmegaConf allows list[int] to hold lists
        for number in _flat(value):
            _check_limits(name, number, declaration)
    if isinstance(config, Config):
        _check_together(config)
    return config


def _keys_outside_of_sections(values: dict[str, Any], schema: type[Any]) -> dict[str, Any]:
    own = {name: value for name, value in values.items() if name not in sections(schema)}
    try:
        keys_alone = _without_sections(schema)  # type: ignore[arg-type]  # mypy takes it for unhashable
        typed = OmegaConf.merge(keys_alone, _literal(own))
        plain = OmegaConf.to_container(typed, throw_on_missing=True, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_message(error, values, schema)) from error
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def _depth(value: Any) -> int:
    """How deep lists and dictionaries are nested in `value`; 0 for a number or a text."""
    if isinstance(value, list | dict):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def _flat(value: Any) -> Iterator[Any]:
    """`value`, or what is in it if it is a list or a dictionary, in lists in it, and so on."""
    if isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _flat(inner)
    else:
        yield value


def _section(name: str, values: dict[str, Any], schema: type[Any]) -> Any:
    """A section as an instance of its dataclass; `model.name` and the like determine which."""
    own, variants = values.get(name, {}), VARIANTS.get(name)
    if not isinstance(own, dict):
        raise ConfigError(not_a_section(name, own))
    chosen = own.get("name")
    if variants and (not isinstance(chosen, str) or chosen not in variants):
        if chosen is None:
            advice = f"; a file under {name}/ has to set it, as in name: {next(iter(variants))}"
        elif (CONFIGS / name / f"{chosen}.yaml").exists():
            advice = f'; declare its keys in config/schema.py, by @variant("{name}", "{chosen}")'
        else:
            advice = nearest(chosen, variants)
        raise ConfigError(f"{name}.name: expected {one_of(variants)}, got {as_text(chosen)}{advice}")
    kind = variants[str(chosen)] if variants else get_type_hints(schema)[name]
    try:
        content = json.dumps(_literal(own), default=repr)
        return deepcopy(_merged(kind, content))  # type: ignore[arg-type]  # mypy takes it for unhashable
    except OmegaConfBaseException as error:
        error.full_key = f"{name}.{error.full_key}" if error.full_key else name
        raise ConfigError(_message(error, values, schema)) from error


def _refuse_keys_other_than_text(name: str, value: Any) -> None:
    """Raise ConfigError for a key such as 0: run.json, from which a run resumes, has only texts as keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ConfigError(
                    f"{name}: expected texts as keys, got {as_text(key)} in {as_text(value)}; write '{as_text(key)}', "
                    "or a list of pairs"
                )
            _refuse_keys_other_than_text(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_keys_other_than_text(name, inner)


def _literal(value: Any) -> Any:
    """`value` with each `${` in a text escaped: interpolations are resolved already.

    OmegaConf halves the number of backslashes before `${`, so they are doubled.
    """
    if isinstance(value, dict):
        return {name: _literal(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_literal(inner) for inner in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


@lru_cache(maxsize=1024)
def _merged(kind: type[Any], content: str) -> Any:
    """An instance of `kind` with the values in `content`, which is JSON, as a key of the cache has to be hashable.

    Thousands of jobs of a sweep have most sections equal.
    """
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), json.loads(content)))


@cache
def _without_sections(schema: type[Any]) -> DictConfig:
    """The structured configuration of the keys outside of sections."""
    kinds = get_type_hints(schema)
    keys_alone = [(part.name, kinds[part.name], copy(part)) for part in fields(schema) if "key" in part.metadata]
    return OmegaConf.structured(make_dataclass(schema.__name__, keys_alone, kw_only=True))  # type: ignore[no-any-return]


def _message(error: OmegaConfBaseException, values: dict[str, Any], schema: type[Any]) -> str:
    if isinstance(error, ValidationError):
        return wrong_type(str(error.full_key), values, schema)
    return explain(error, schema)


def _check_together(config: Config) -> None:
    """Checks that concern several keys, or the format of a text."""
    trainer, optimizer = config.trainer, config.optimizer
    _check_devices(trainer.devices)
    if trainer.max_time is not None and not (
        re.fullmatch(r"\d\d:\d\d:\d\d:\d\d", trainer.max_time) and re.search(r"[1-9]", trainer.max_time)
    ):
        raise ConfigError(
            f"trainer.max_time: expected DD:HH:MM:SS above zero, as 00:00:10:00, got {trainer.max_time!r}"
        )
    if trainer.deterministic not in (True, False, "warn"):
        raise ConfigError(f"trainer.deterministic: expected true, false or warn, got {trainer.deterministic!r}")
    if isinstance(optimizer, SGDConfig) and optimizer.nesterov and optimizer.momentum == 0:
        raise ConfigError("optimizer.nesterov: expected optimizer.momentum above 0 beside it, got 0")
    if isinstance(optimizer, AdamConfig) and len(optimizer.betas) != 2:
        raise ConfigError(f"optimizer.betas: expected two numbers, got {optimizer.betas}")
    if config.averaging.decay > 0 and trainer.precision == "bf16-true":
        raise ConfigError(
            "averaging.decay: expected 0 under trainer.precision=bf16-true, too coarse for a running mean"
        )


def check_monitors(config: Config) -> None:
    """Check `monitor` and `mode` of `checkpoint` and of early stopping.

    A metric that is not in `METRIC_KINDS` may be logged by your own code. Not part of `from_dict`: a checkpoint of an
    older version may have what is refused here.
    """
    modes = {"loss": "min"} | {name: mode for name, (_, mode) in METRIC_KINDS.items()}
    sections: dict[str, CheckpointConfig | EarlyStoppingConfig] = {"checkpoint": config.checkpoint}
    if config.callbacks.early_stopping.patience is not None:
        sections["callbacks.early_stopping"] = config.callbacks.early_stopping
    for section, given in sections.items():
        monitor, name = given.monitor, given.monitor.removeprefix("val/")
        last = name.rpartition("/")[2]
        if not monitor.startswith("val/") and (section == "checkpoint" or last in modes):
            raise ConfigError(f"{section}.monitor: expected a metric of validation, as val/{last}, got {monitor!r}")
        if name in METRIC_KINDS and name not in config.metrics:
            known = one_of(f"val/{metric}" for metric in ("loss", *config.metrics))
            raise ConfigError(f"{section}.monitor: expected {known}, got {monitor!r}; metrics=[acc,f1] adds metrics")
        if given.mode != modes.get(name, given.mode):
            raise ConfigError(
                f"{section}.mode: expected {modes[name]} beside {section}.monitor={monitor}, got {given.mode}"
            )


def _check_devices(devices: Any) -> None:
    listed = isinstance(devices, list) and devices and all(type(number) is int and number >= 0 for number in devices)
    listed = listed and len(set(devices)) == len(devices)
    counted = devices == "auto" or (type(devices) is int and devices > 0)
    if not (listed or counted):
        raise ConfigError(f"trainer.devices: expected a number from 1, auto, or a list as [0,1], got {devices!r}")


def _check_limits(name: str, value: Any, declaration: Key) -> None:
    if value is None:
        return
    choices = declaration.choices
    if choices and value not in choices:
        raise ConfigError(f"{name}: expected {one_of(choices)}, got {as_text(value)}{nearest(value, choices)}")
    if not isinstance(value, int | float):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name}: expected a finite number, got {value}")
    if declaration.count_or_share and isinstance(value, float) and not 0 <= value <= 1:
        whole = f", as {name}={round(value)}" if value > 1 else ""
        raise ConfigError(f"{name}: expected a whole number of batches{whole}, or a share from 0.0 to 1.0, got {value}")
    for limit in declaration.limits:
        if not limit.holds(value, limit.bound):
            raise ConfigError(f"{name}: expected a number {limit.words} {limit.bound}, got {value}")
