"""From what Hydra composed to the typed configuration: `parse` is the only way in. Hydra and OmegaConf stop here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from mnist_mlp.config.commands import EvaluateConfig
from mnist_mlp.config.errors import ConfigError, require
from mnist_mlp.config.messages import documented_keys, explain, explain_composition, mistyped, nearest, one_of
from mnist_mlp.config.schema import CONFIGS, PROJECT, VARIANTS, AdamConfig, Config, SGDConfig
from mnist_mlp.distributed.hardware import require_accelerator
from mnist_mlp.distributed.world import require_processes

Schema = TypeVar("Schema")


def composed(*overrides: str) -> Config:
    """What `python src/train.py <overrides>` trains, for a notebook or a script that calls `training.train` itself.

    Raises:
        ConfigError: as `parse`.
    """
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        try:
            given = compose("train", list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain_composition(error)) from error
        return parse(given, Config)


def parse(composed: DictConfig, schema: type[Schema]) -> Schema:
    """What Hydra composed, typed and checked.

    Raises:
        ConfigError: one line that names the key, what is allowed and what came.
        MissingPackageError: a logger is asked for whose package is not installed.
    """
    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, schema)) from error
    assert isinstance(values, dict)
    config = from_dict({str(name): value for name, value in values.items()}, schema)
    if isinstance(config, Config):
        # Here, as a network is used without the processes and loggers of its run: `from_dict` reads checkpoints too.
        require_processes(config)
        require(*(name for name in ("mlflow", "wandb") if getattr(config.logger, name)))
    return config


def from_dict(values: dict[str, Any], schema: type[Schema]) -> Schema:
    """The inverse of `dataclasses.asdict`, with every check: a checkpoint's config comes back through here.

    Raises:
        ConfigError: as `parse`.
    """
    try:
        config = OmegaConf.to_object(OmegaConf.merge(_typed(values, schema), values))
    except ValidationError as error:
        raise ConfigError(mistyped(str(error.full_key), values, schema)) from error
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, schema)) from error
    assert isinstance(config, schema)
    for name, value, limits in leaves(config):
        for item in value if isinstance(value, list) else [value]:
            _check_limits(name, item, limits)
    if isinstance(config, Config):
        _check_together(config)
    if isinstance(config, EvaluateConfig) and config.committee and not isinstance(config.checkpoint, list):
        raise ConfigError("committee: expected several checkpoints beside it, as checkpoint=[a,b], got one")
    return config


def _typed(values: dict[str, Any], schema: type[Any]) -> DictConfig:
    """The types of every key; `optimizer.name` and `scheduler.name` decide which keys those sections have."""
    typed: DictConfig = OmegaConf.structured(schema)
    if issubclass(schema, Config):
        for section, variants in VARIANTS.items():
            name = str((values.get(section) or {}).get("name"))
            if name not in variants:
                raise ConfigError(f"{section}.name: expected {one_of(variants)}, got {name!r}{nearest(name, variants)}")
            typed[section] = OmegaConf.structured(variants[name])
    return typed


def _check_together(config: Config) -> None:
    """What the keys of a training run demand of one another."""
    trainer, optimizer = config.trainer, config.optimizer
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
    require_accelerator(trainer.accelerator)


def _check_limits(name: str, value: Any, limits: dict[str, Any]) -> None:
    if value is None:
        return
    choices = limits["choices"]
    if choices and value not in choices:
        raise ConfigError(f"{name}: expected {one_of(choices)}, got {value!r}{nearest(value, choices)}")
    if not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise ConfigError(f"{name}: expected a finite number, got {value}")
    for word, limit, holds in (
        ("above", limits["above"], lambda bound: value > bound),
        ("at least", limits["at_least"], lambda bound: value >= bound),
        ("below", limits["below"], lambda bound: value < bound),
        ("at most", limits["at_most"], lambda bound: value <= bound),
    ):
        if limit is not None and not holds(limit):
            raise ConfigError(f"{name}: expected a number {word} {limit}, got {value}")


def without(composed: DictConfig, *sections: str) -> DictConfig:
    """A copy that leaves these sections out; what refers to other keys still does."""
    return OmegaConf.masked_copy(composed, [str(name) for name in composed if name not in sections])


def leaves(section: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each key below `section` in dotted form, its value, and its documentation and limits."""
    for part in fields(section):
        name, value = prefix + part.name, getattr(section, part.name)
        if is_dataclass(value):
            yield from leaves(value, name + ".")
        else:
            yield name, value, part.metadata


# For the YAML files: a path below the project wherever the command runs, and the list that --help prints.
OmegaConf.register_new_resolver("project", lambda path: str(PROJECT / path), replace=True)
OmegaConf.register_new_resolver("documented_keys", documented_keys, replace=True)
