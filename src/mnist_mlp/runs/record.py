"""Records run.json and sweep.json: configuration, jobs and command line, written when a run or a sweep starts.

With them a run can be found and resumed under any name, without Hydra's own files, and after changes in configs/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.overrides import key_of
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.runs.atomic_write import replacing, saving

RUN, SWEEP = "run.json", "sweep.json"
RESUMING = "hydra.callbacks.check.resuming"
"""override that `resume=<directory of a sweep>` adds"""
CHECKS = "hydra.callbacks.check._target_"
"""override that every command adds"""
# Overrides that are not recorded: they are given again on resume, or Hydra adds them.
NOT_RECORDED = ("hydra.run.dir", "hydra.sweep.dir", "hydra.mode", CHECKS, RESUMING)
FORMAT = 1
"""version of the format of run.json, sweep.json, result.json and checkpoints"""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Arguments of Hydra that compose a configuration again."""

    config_name: str
    config_dirs: Sequence[str]
    """absolute path from --config-dir, if there was one"""
    task: Sequence[str]
    """overrides of keys and groups of the configuration"""
    hydra: Sequence[str]
    """overrides of Hydra's own keys: launcher, sweeper parameters, subdir"""
    config_path: str | None = None
    """absolute path from --config-path"""

    @classmethod
    def of(cls, hydra: DictConfig) -> Command:
        """The command that composed the configuration with this section `hydra`."""
        # Hydra's names of the sources: `command-line` for --config-dir, `main` for --config-path.
        folders = {source.provider: str(Path(source.path).absolute()) for source in hydra.runtime.config_sources}
        main, overrides = folders.get("main"), overrides_of(hydra)
        return cls(
            config_name=str(hydra.job.config_name),
            config_dirs=[folders["command-line"]] if "command-line" in folders else [],
            config_path=None if main == str(CONFIGS) else main,
            task=[override for override in overrides["task"] if key_of(override) != "resume"],
            hydra=[override for override in overrides["hydra"] if key_of(override) not in NOT_RECORDED],
        )

    def arguments(self) -> list[str]:
        """The arguments of `train.py` that compose the same configuration."""
        folders = [argument for path in self.config_dirs for argument in ("--config-dir", path)]
        folders += ["--config-path", self.config_path] if self.config_path is not None else []
        return ["--config-name", self.config_name, *folders, *self.hydra, *self.task]


def overrides_of(hydra: DictConfig) -> dict[str, list[str]]:
    """Overrides as typed: a value such as `${hydra.job.num}` cannot be resolved outside of a job."""
    return cast(dict[str, list[str]], OmegaConf.to_container(hydra.overrides, resolve=False))


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    config: dict[str, Any]
    """without interpolations"""
    command: Command | None = None
    """None if the run was started by a call of `training.train`"""
    sweep: str | None = None
    """directory of its sweep, relative to the directory of the run"""
    data_sha256: str | None = None
    """checksum of the data set, as in checkpoints; None until the data has been read"""


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    number: int
    directory: str
    """relative to the directory of the sweep"""
    overrides: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    command: Command
    config: dict[str, Any]
    """configuration without the overrides of the jobs, and without interpolations"""
    jobs: Sequence[JobRecord] | None
    """None if the sweeper chooses them one by one"""


def write_run(directory: Path, record: RunRecord) -> None:
    """Write run.json into `directory`.

    Raises:
        SaveError: it cannot be written.
    """
    _write(directory / RUN, asdict(record))


def read_run(directory: Path) -> RunRecord | None:
    """The record of the run in `directory`; None if there is none, as in older versions.

    Raises:
        ConfigError: it is damaged, or of a later version.
    """
    content = _read(directory / RUN)
    if content is None:
        return None
    with _complete(directory / RUN):
        command = content.get("command")
        return RunRecord(
            config=content["config"],
            command=None if command is None else _command(command),
            sweep=_text_or_none(content.get("sweep")),
            data_sha256=_text_or_none(content.get("data_sha256")),
        )


def write_sweep(directory: Path, record: SweepRecord) -> None:
    """Write sweep.json into `directory`.

    Raises:
        SaveError: it cannot be written.
    """
    _write(directory / SWEEP, asdict(record))


def read_sweep(directory: Path) -> SweepRecord | None:
    """The record of the sweep in `directory`; None if there is none.

    Raises:
        ConfigError: it is damaged, or of a later version.
    """
    content = _read(directory / SWEEP)
    if content is None:
        return None
    with _complete(directory / SWEEP):
        jobs = content["jobs"]
        return SweepRecord(
            command=_command(content["command"]),
            config=content["config"],
            jobs=None if jobs is None else [_job(job) for job in jobs],
        )


def _command(content: dict[str, Any]) -> Command:
    command = Command(**content)
    _require_texts([command.config_name], command.config_dirs, command.task, command.hydra)
    _text_or_none(command.config_path)
    return command


def _job(content: dict[str, Any]) -> JobRecord:
    job = JobRecord(**content)
    _require_texts([job.directory], job.overrides)
    return job


def _require_texts(*parts: Any) -> None:
    for part in parts:
        if not isinstance(part, list) or not all(isinstance(text, str) for text in part):
            raise TypeError(f"expected text, got {json.dumps(part)}")


def _text_or_none(value: Any) -> str | None:
    if value is not None:
        _require_texts([value])
    return value  # type: ignore[no-any-return]


@contextmanager
def _complete(path: Path) -> Iterator[None]:
    """Raise ConfigError if a part of the record is missing or of another kind."""
    try:
        yield
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path}: is damaged, or not of this project: {error}") from error


def refuse_later_version(content: Mapping[str, Any], path: Path) -> None:
    """Raise ConfigError if `content`, read from `path`, has the format of a later version."""
    version = content.get("format", 0)
    if not isinstance(version, int):
        raise ConfigError(f"{path}: is damaged, or not of this project: format {version!r}")
    if version > FORMAT:
        raise ConfigError(f"{path}: written by a later version (format {version}, known up to {FORMAT})")


def _write(path: Path, content: dict[str, Any]) -> None:
    started = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
    with saving(path), replacing(path) as draft:
        draft.write_text(json.dumps({"format": FORMAT, "started": started, **content}, indent=2) + "\n", "utf-8")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise ConfigError(f"{path}: expected the record of a run or a sweep, got another file")
    refuse_later_version(content, path)
    return content
