"""run.json and sweep.json: what a run or a sweep is, written first, so that it is found and continued anywhere.

A directory may be named and lie as its user likes, Hydra's own files may be elsewhere or left out, and the files
under configs/ may change; what a run was begun with stands here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.overrides import key_of
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.runs.atomic_write import replacing, saving

RUN, SWEEP = "run.json", "sweep.json"
# Overrides that whoever goes on gives anew, or that Hydra adds itself.
RESUMING = "hydra.callbacks.check.resuming"
GIVEN_ANEW = ("hydra.run.dir", "hydra.sweep.dir", "hydra.mode", "hydra.output_subdir", RESUMING)
FORMAT = 1
"""Of run.json, sweep.json, result.json and checkpoints; a greater number is that of a later version."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a configuration was composed: enough to compose it again."""

    config_name: str
    config_dirs: Sequence[str]
    """Absolute paths, from --config-dir and --config-path."""
    task: Sequence[str]
    """Overrides of the configuration's keys and groups, sweeps among them."""
    hydra: Sequence[str]
    """Overrides of Hydra's own: launcher, sweeper parameters, subdir."""

    @classmethod
    def of(cls, hydra: DictConfig) -> Command:
        """How Hydra composed the configuration of which `hydra` is a section."""
        # --config-dir is a source called `command-line`, --config-path another `main`.
        sources = [source for source in hydra.runtime.config_sources if source.provider in ("command-line", "main")]
        words: Any = OmegaConf.to_container(hydra.overrides, resolve=False)  # a word may hold ${...} of its own
        return cls(
            config_name=str(hydra.job.config_name),
            config_dirs=[str(Path(source.path).absolute()) for source in sources if Path(source.path) != CONFIGS],
            task=[word for word in words["task"] if key_of(word) != "resume"],
            hydra=[word for word in words["hydra"] if key_of(word) not in GIVEN_ANEW],
        )

    def arguments(self) -> list[str]:
        """The words behind `train.py` that compose the same again."""
        folders = [word for path in self.config_dirs for word in ("--config-dir", path)]
        return ["--config-name", self.config_name, *folders, *self.hydra, *self.task]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    config: dict[str, Any]
    """Resolved: no key refers to another one."""
    command: Command | None = None
    """None where the run was begun by a call of `training.train`."""
    sweep: str | None = None
    """The directory of the sweep that the run is a job of, relative to the run's own."""


@dataclass(frozen=True, kw_only=True)
class Job:
    number: int
    directory: str
    """Relative to the sweep's own."""
    overrides: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    command: Command
    config: dict[str, Any]
    """What the jobs have in common: resolved, without their overrides."""
    jobs: Sequence[Job] | None
    """None where a sweeper chooses them one after the other."""


def write_run(directory: Path, record: RunRecord) -> None:
    """Leave run.json in `directory`.

    Raises:
        SaveError: it cannot be written.
    """
    _write(directory / RUN, asdict(record))


def read_run(directory: Path) -> RunRecord | None:
    """The record of the run in `directory`; None where there is none, as older versions left none.

    Raises:
        ConfigError: it is damaged, or of a later version.
    """
    content = _read(directory / RUN)
    if content is None:
        return None
    command = content.get("command")
    return RunRecord(config=content["config"], command=command and Command(**command), sweep=content.get("sweep"))


def write_sweep(directory: Path, record: SweepRecord) -> None:
    """Leave sweep.json in `directory`.

    Raises:
        SaveError: it cannot be written.
    """
    _write(directory / SWEEP, asdict(record))


def read_sweep(directory: Path) -> SweepRecord | None:
    """The record of the sweep in `directory`; None where there is none.

    Raises:
        ConfigError: it is damaged, or of a later version.
    """
    content = _read(directory / SWEEP)
    if content is None:
        return None
    jobs = content["jobs"]
    return SweepRecord(
        command=Command(**content["command"]),
        config=content["config"],
        jobs=None if jobs is None else [Job(**job) for job in jobs],
    )


def refuse_later_version(content: Mapping[str, Any], path: Path) -> None:
    """Raise ConfigError where `content`, read from `path`, is laid out as this version does not know."""
    if content.get("format", 0) > FORMAT:
        raise ConfigError(f"{path}: written by a later version (format {content['format']}, known up to {FORMAT})")


def _write(path: Path, content: dict[str, Any]) -> None:
    started = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
    with saving(path), replacing(path) as draft:
        draft.write_text(json.dumps({"format": FORMAT, "started": started, **content}, indent=2) + "\n", "utf-8")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise ConfigError(f"{path}: expected the record of a run or a sweep, got another file")
    refuse_later_version(content, path)
    return content


def relative(path: Path, to: Path) -> str:
    """`path` as seen from the directory `to`, so that both can be moved together."""
    return os.path.relpath(path.resolve(), to.resolve())
