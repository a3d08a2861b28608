"""Checks of Hydra's own settings: overrides without effect, the name of the job, files that Hydra would not read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.overrides import key_of
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.runs import record
from mnist_mlp.runs.atomic_write import MAX_NAME_BYTES


def refuse_overrides_for_sweeps(hydra: DictConfig) -> None:
    """Raise ConfigError if an override would have no effect without -m."""
    choices = hydra.runtime.choices
    of_sweeps = ("hydra.launcher", "hydra.sweep", "hydra/launcher", "hydra/sweeper")
    typed = record.overrides_of(hydra)["hydra"]
    overrides = [override for override in typed if key_of(override).startswith(of_sweeps)]
    # Set by a file of the group sweep or experiment.
    if choices["hydra/launcher"] != "basic" or (hydra.sweeper or {}).get("params"):
        overrides += [f"{group}={choices[group]}" for group in ("sweep", "experiment") if choices.get(group)]
    given = {key_of(override) for override in typed}
    if "hydra.run.dir" in given:  # who sets both directories wants one command line with and without -m
        overrides = [
            override for override in overrides if key_of(override) not in ("hydra.sweep.dir", "hydra.sweep.subdir")
        ]
    if overrides:
        raise ConfigError(f"{overrides[0]}: expected -m beside it, as in train.py -m {overrides[0]}")


def refuse_job_name(hydra: DictConfig) -> None:
    """Raise ConfigError if no log file can have the name of the job: Hydra opens it after all checks."""
    settings: Any = OmegaConf.to_container(hydra.job, resolve=False)
    name = str(settings["name"])
    if "${" in name:  # a job of a sweep may be needed to resolve it
        return
    if not name or "/" in name or len(os.fsencode(f"{name}.log")) > MAX_NAME_BYTES:
        raise ConfigError(f"hydra.job.name: expected the name of the log file, without folder and .log, got {name!r}")


def refuse_shadowed_files(hydra: DictConfig) -> None:
    """Raise ConfigError if a chosen file lies in several folders: Hydra silently reads that of the project."""
    folders = {Path(source.path).resolve() for source in hydra.runtime.config_sources if source.schema == "file"}
    if CONFIGS not in folders or folders == {CONFIGS}:  # with --config-path, the project's files are not searched
        return
    folders -= {CONFIGS}
    overrides = record.overrides_of(hydra)
    chosen = (
        GlobalHydra.instance()
        .config_loader()
        .compute_defaults_list(hydra.job.config_name, overrides["hydra"] + overrides["task"], RunMode.RUN)
    )
    for group, _, option in (str(file.config_path).rpartition("/") for file in chosen.defaults):
        path = Path(group, f"{option}.yaml")
        own = next((folder / path for folder in folders if (folder / path).is_file()), None)
        if own is not None and (CONFIGS / path).is_file():
            name = f"{group}={option}" if group else option
            raise ConfigError(f"{name}: the project has this name already; expected another one for {own}")
