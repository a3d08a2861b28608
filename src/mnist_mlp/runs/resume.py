"""Resume, `resume=<directory>`: the command line and the configuration with which a run or a sweep continues there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import global_groups, keys_where, limits_run, may_change_on_resume
from mnist_mlp.config.overrides import key_of, override_value
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.runs.command_line import command
from mnist_mlp.runs.directories import is_sweep
from mnist_mlp.runs.record import NOT_RECORDED, RESUMING, Command, read_run, read_sweep
from mnist_mlp.runs.run_directory import refuse_changes


def expand(arguments: list[str]) -> list[str]:
    """The command line, with `resume=<directory>` expanded to all arguments that the run or sweep needs.

    Raises:
        ConfigError: the directory holds neither a run nor a sweep, or another argument is not possible beside it.
    """
    given = [argument for argument in arguments if re.match(r"\+*resume=(?!null$)", argument)]
    if not given or {"--help", "-h", "--hydra-help"} & set(arguments):
        return arguments
    if (place := given[-1].partition("=")[2]) in ("", "''", '""'):  # as from a shell variable that is not set
        raise ConfigError("resume: expected the directory of a run or of a sweep, got nothing")
    directory = _directory(place)
    others = [argument for argument in arguments if argument not in given]
    quoted = override_value(str(directory))
    if is_sweep(directory):
        changes = [argument for argument in others if argument not in ("-m", "--multirun")]
        if changes:
            raise ConfigError(f"resume: a sweep resumes with its own settings, without {' '.join(changes)}")
        # Without `resume=`, which would become an override of every job and change its name: each job that has begun
        # resumes by itself.
        return ["-m", *_begun_by(directory).arguments(), f"{RESUMING}=true", f"hydra.sweep.dir={quoted}"]
    if not _is_run(directory):
        # The path of a checkpoint was given instead of its run directory.
        above = next((path for path in directory.parents[:2] if read_run(path) is not None), None)
        meant = f"; did you mean {command('train.py', resume=above)}?" if above else ""
        raise ConfigError(f"resume: expected the directory of a run or of a sweep, got {directory}{meant}")
    for argument in others:
        if argument in ("-m", "--multirun"):
            raise ConfigError(f"resume: a run resumes alone, without {argument}; a sweep resumes by its own directory")
        if re.match(r"-(c|cn|cd|cp|-cfg|-config-(name|dir|path))(=|$)", argument):
            raise ConfigError(f"resume: a run resumes with its own configuration, without {argument}")
        if key_of(argument) in (*NOT_RECORDED, "hydra.output_subdir"):
            raise ConfigError(f"{key_of(argument)}: a run resumes in its own directory; leave {argument} out")
    # output_subdir=null: Hydra does not overwrite the .hydra folder that it wrote when the run was started.
    return [*others, f"resume={quoted}", f"hydra.run.dir={quoted}", "hydra.output_subdir=null"]


def _is_run(directory: Path) -> bool:
    of_older_version = directory / ".hydra" / "config.yaml"  # evaluate.py and others leave such a file as well
    return read_run(directory) is not None or (
        of_older_version.is_file() and "trainer" in cast(DictConfig, OmegaConf.load(of_older_version))
    )


def _directory(text: str) -> Path:
    """The path in `text`, the value of an override: without Hydra's quotes, unless a path of this name exists."""
    if not Path(text).expanduser().exists() and text[:1] == text[-1:] and text[:1] in ("'", '"'):
        text = re.sub(r"\\(['\"\\])", r"\1", text[1:-1])
    return Path(text).expanduser().resolve()


def _begun_by(sweep: Path) -> Command:
    record = read_sweep(sweep)
    if record is not None:
        return record.command
    return Command.of(OmegaConf.load(sweep / "multirun.yaml").hydra)  # a sweep of an older version


def recorded_configuration(directory: Path, composed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration of the run in `directory`, with the changes in `overrides` that are allowed on resume.

    `composed` is what Hydra composed with these overrides.

    Raises:
        ConfigError: names the key that must not change.
    """
    record = read_run(directory)
    own = OmegaConf.create(record.config) if record else OmegaConf.load(directory / ".hydra" / "config.yaml")
    assert isinstance(own, DictConfig)
    own.resume = composed.resume
    for override in overrides:
        name = key_of(override)
        if name in global_groups():
            raise ConfigError(f"{name}: cannot be chosen on resume; name the keys that are to change")
        if name != "resume":
            after = _select(composed, name)
            if name == "trainer":
                after |= _kept(after, _select(own, name))
            refuse_changes(after, _select(own, name), scheduler=own.scheduler.name, key=name)
            OmegaConf.update(own, name, after)
    return own


def _kept(chosen: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """Values of `recorded` to keep if another file of the group was chosen, as by trainer=ddp.

    `chosen` has every key, also those that the file only inherits from configs/trainer/default.yaml. A key whose value
    is the one in default.yaml is taken as inherited; it keeps its recorded value if it limits the run or must not
    change.
    """
    default = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(CONFIGS / "trainer" / "default.yaml")))
    free = {key.removeprefix("trainer.") for key in keys_where(may_change_on_resume) - keys_where(limits_run)}
    kept = (default.keys() & recorded.keys()) - free  # an older version may not have recorded every key
    return {key: recorded[key] for key in kept if chosen[key] == default[key]}


def _select(config: DictConfig, name: str) -> Any:
    value = OmegaConf.select(config, name)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
