"""`resume=<directory>`: what a run or a sweep needs to go on in its own directory with its own configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import bundles, depends_on_length, keys_where, limits_steps, may_change
from mnist_mlp.config.overrides import key_of, word
from mnist_mlp.runs import directories as runs


def expand(arguments: list[str]) -> list[str]:
    """The command line, with what `resume=<directory>` stands for written out.

    Raises:
        ConfigError: the directory holds neither a run nor a sweep.
    """
    given = [argument for argument in arguments if re.match(r"\+*resume=(?!null$)", argument)]
    if not given:
        return arguments
    directory = Path(given[-1].partition("=")[2].strip("'\"")).resolve()
    others = [argument for argument in arguments if argument not in given]
    quoted = word(str(directory))
    if (directory / "multirun.yaml").is_file():
        changes = [argument for argument in others if "=" in argument]
        if changes:
            raise ConfigError(f"resume: a sweep goes on as it was begun, without {' '.join(changes)}")
        saved = OmegaConf.load(directory / "multirun.yaml")
        begun_with = [word for word in saved.hydra.overrides.task if not word.startswith("resume=")]
        launcher = [
            word for word in saved.hydra.overrides.hydra if word.startswith(("hydra/launcher=", "hydra.launcher."))
        ]
        return ["-m", *begun_with, *launcher, f"resume={quoted}", f"hydra.sweep.dir={quoted}"]
    if not (directory / ".hydra" / "config.yaml").is_file():
        raise ConfigError(f"resume: expected the directory of a run or of a sweep, got {directory}")
    # The run's own record under .hydra/ stays as it was written at its start.
    return [*others, f"resume={quoted}", f"hydra.run.dir={quoted}", "hydra.output_subdir=null"]


def own_configuration(directory: Path, composed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration that the run in `directory` was started with, changed only where that is safe.

    Raises:
        ConfigError: names the key that must not change.
    """
    own = OmegaConf.load(directory / ".hydra" / "config.yaml")
    assert isinstance(own, DictConfig)
    own.resume = composed.resume
    for override in overrides:
        name = key_of(override)
        if name in bundles():
            raise ConfigError(f"{name}: cannot be chosen when a run goes on; name the keys that are to change")
        if name != "resume":
            after = _select(composed, name)
            refuse_changes(after, _select(own, name), scheduler=own.scheduler.name, key=name)
            OmegaConf.update(own, name, after)
    return own


def refuse_occupied(directory: Path) -> None:
    """Raise ConfigError where a run already lies: nothing that was saved is ever overwritten."""
    if (directory / runs.RESULT).exists() or (directory / runs.CHECKPOINTS).exists():
        raise ConfigError(f"hydra.run.dir: {directory} already holds a run; resume={directory} goes on with it")


def _select(config: DictConfig, name: str) -> Any:
    value = OmegaConf.select(config, name)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def refuse_changes(config: Any, own: Any, *, scheduler: str, key: str = "") -> None:
    """Raise ConfigError where `config` differs from the run's own in a key that decides what is computed.

    Both are values of `key`, or whole configurations.
    """
    if isinstance(config, dict) and isinstance(own, dict):
        for name, before in own.items():
            refuse_changes(config.get(name), before, scheduler=scheduler, key=f"{key}.{name}" if key else name)
    elif own == config or key == "resume":
        return
    elif key not in keys_where(may_change):
        raise ConfigError(f"{key}: cannot change when a run goes on; it is {own} there, got {config}")
    elif key in keys_where(limits_steps) and depends_on_length(scheduler):
        raise ConfigError(
            f"{key}: cannot change under scheduler={scheduler}, whose learning rates depend on it; "
            "start a new run, or use scheduler=constant for runs to be lengthened"
        )
