"""The sweep that this process runs: its jobs, its record, and at its end one leaderboard, also when it was stopped."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.compose import hydra_settings_of
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.job_compositions import JobCompositions
from mnist_mlp.config.keys import with_legacy_defaults
from mnist_mlp.config.optional import optional
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.runs import directories, directory_lock, thinning
from mnist_mlp.runs.atomic_write import refuse_unwritable_directory
from mnist_mlp.runs.command_line import command, sweep_overrides
from mnist_mlp.runs.metric_text import metric_text
from mnist_mlp.runs.monitored import monitored
from mnist_mlp.runs.record import Command, JobRecord, SweepRecord, overrides_of, read_run, read_sweep, write_sweep
from mnist_mlp.runs.run_directory import refuse_changes, refuse_occupied

_directory: Path | None = None
_jobs: list[list[str]] = []


def jobs_of(config: DictConfig, loader: ConfigLoader) -> list[list[str]] | None:
    """The overrides of each job of Hydra's own sweeper, in its order; None where another sweeper chooses them.

    Raises:
        HydraException: an override cannot be read.
        ConfigError: it stands for no list of values, or for an empty one.
    """
    if config.hydra.runtime.choices["hydra/sweeper"] != "basic":
        return None
    preset = (config.hydra.sweeper or {}).get("params") or {}  # sweep=<name>
    overrides = [*(f"{name}={values}" for name, values in preset.items()), *overrides_of(config.hydra)["task"]]
    choices: dict[str, list[str]] = {}  # of each key, the last override counts
    for override in OverridesParser.create(loader).parse_overrides(overrides):
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise ConfigError(f"{override.input_line}: a sweep needs a list of values; tune.py searches an interval")
        if not choices[key]:
            raise ConfigError(f"{override.input_line}: a sweep needs at least one value, got none")
    return [list(job) for job in itertools.product(*choices.values())]


def begin(
    config: DictConfig, jobs: list[list[str]] | None, loader: ConfigLoader, base: dict[str, Any], *, resuming: bool
) -> None:
    """Lock the directory of this sweep and write its record, by which it is found and finished.

    `base` is the configuration that the jobs have in common.

    Raises:
        ConfigError: the directory holds another sweep or is in use, or that of a job holds a run; or the resumed sweep
            was begun with other values or other jobs.
        SaveError: the record cannot be written.
    """
    global _directory, _jobs
    directory = Path(config.hydra.sweep.dir)
    _refuse_other(directory, resuming)
    record = SweepRecord(
        command=Command.of(config.hydra),
        config=base,
        jobs=None if jobs is None else _placed(directory, jobs, config, loader, resuming=resuming),
    )
    before = read_sweep(directory) if resuming else None
    if before is not None:
        refuse_changes(record.config, before.config, scheduler=record.config["scheduler"]["name"])
        if before.jobs != record.jobs:
            raise ConfigError(f"resume: {directory} was begun with other jobs: a file under configs/ has changed since")
        _refuse_changed_images(directories.jobs(directory))
    directory_lock.acquire(directory, "hydra.sweep.dir")
    _refuse_other(directory, resuming)
    _directory, _jobs = directory, jobs or []
    if before is None:
        write_sweep(directory, record)


def _refuse_changed_images(jobs: Sequence[directories.Run]) -> None:
    """Raise ConfigError if images of one's own have changed since a job began: the next jobs would train on others."""
    if all(job.status == directories.COMPLETED for job in jobs):
        return
    from mnist_mlp.data.sources import load  # imports NumPy, which --help and a wrong key do not need

    compared = set()
    for job in jobs:
        config, sha256 = job.result.get("config"), job.result.get("data_sha256")
        with suppress(ConfigError):  # a job with a damaged record fails alone
            if sha256 is None and (run := read_run(job.directory)) is not None:  # it was killed
                config, sha256 = run.config, run.data_sha256
        if config is None or sha256 is None:
            continue
        data = from_dict(with_legacy_defaults(config)["data"], DataConfig)
        if data.path is not None and data.path not in compared:
            load(data, sha256=sha256)
            compared.add(data.path)


def _refuse_other(directory: Path, resuming: bool) -> None:
    if not resuming and directories.is_sweep(directory):
        finish = command("train.py", resume=directory)
        raise ConfigError(f"hydra.sweep.dir: {directory} already holds a sweep; to finish it: {finish}")


def _placed(
    directory: Path, jobs: list[list[str]], config: DictConfig, loader: ConfigLoader, *, resuming: bool
) -> list[JobRecord]:
    """The jobs with the directories that `hydra.sweep.subdir` gives them."""
    by_number = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"] == "${hydra:job.num}"  # type: ignore[index,call-overload]
    placed: dict[str, JobRecord] = {}
    for number, overrides in enumerate(jobs):
        subdir = str(number) if by_number else _subdir(loader.load_sweep_config(config, overrides), number)
        if subdir in placed:
            raise ConfigError(
                f"hydra.sweep.subdir: expected a directory for each job, got {subdir} for jobs "
                f"{placed[subdir].number} and {number}"
            )
        if not by_number:
            refuse_unwritable_directory("hydra.sweep.subdir", directory / subdir)
        if not resuming:  # or its result would count as one of this sweep
            refuse_occupied(directory / subdir, "hydra.sweep.subdir")
        placed[subdir] = JobRecord(number=number, directory=subdir, overrides=overrides)
    return list(placed.values())


def _subdir(config: DictConfig, number: int) -> str:
    config.hydra.job.num = number
    with hydra_settings_of(config):
        return str(config.hydra.sweep.subdir)


def compose_once(loader: ConfigLoader, sweep: DictConfig) -> None:
    """Cache compositions: of jobs that differ only in values, only the first is composed by Hydra.

    The others are copies with their own values. Composing takes a tenth of a second; Hydra's sweeper composes every
    job as a check, and its launcher once more.
    """
    compose = loader.load_sweep_config
    compositions = JobCompositions(lambda overrides: compose(sweep, overrides))

    def load_sweep_config(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        own = compositions(sweep_overrides)
        OmegaConf.copy_cache(from_config=master_config, to_config=own)  # ${now:}, the same for the whole sweep
        return own

    loader.load_sweep_config = load_sweep_config  # type: ignore[method-assign]


def job_label(number: int, overrides: Sequence[str]) -> str:
    """Overrides of a job as text, without those that all jobs share if this process knows all jobs."""
    own = sweep_overrides([_jobs[number]], _jobs) if number < len(_jobs) else " ".join(overrides)
    return own or "without overrides"


def report() -> bool:
    """Print the leaderboard, if there was a sweep, and write its page. Returns whether all jobs completed."""
    if _directory is None or not _directory.exists():
        return True
    jobs = directories.jobs(_directory)
    describe = optional("sweep_report") or _list_of_jobs
    print(describe(jobs, _directory))
    record = read_sweep(_directory)
    keep = record.config.get("sweep", {}).get("keep", "all") if record is not None else "all"
    if keep != "all":
        completed = [job.directory for job in jobs if job.status == directories.COMPLETED]
        print(thinning.summary_line(keep, completed))
    print(f"sweep directory  {directories.shown(_directory)}")
    unfinished = sum(job.status != directories.COMPLETED for job in jobs)
    if unfinished:
        print(f"{unfinished} of {len(jobs)} jobs did not complete. Finish them with:")
        print(command("train.py", resume=_directory))
    return not unfinished


def _list_of_jobs(jobs: Sequence[directories.Run], directory: Path) -> str:
    """One line a job, in the order of their numbers: for a copy of the project without the leaderboard."""
    return "\n".join(f"{directories.shown(job.directory)}  {job.status}  {_reached(job)}".rstrip() for job in jobs)


def _reached(job: directories.Run) -> str:
    metric, _ = monitored(job.result.get("config") or {})
    value = (job.result.get("metrics") or {}).get(metric)
    return "" if value is None else f"{metric} {metric_text(metric, value)}"
