"""The sweep that this process runs: begun once, told at its end in one leaderboard, also when it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.optional import optional
from mnist_mlp.runs import directories as runs

_directory: Path | None = None


def begin(directory: Path, *, resuming: bool) -> None:
    """Remember where the jobs of this sweep will lie.

    Raises:
        ConfigError: another sweep lies there already.
    """
    global _directory
    if not resuming and (directory / "multirun.yaml").exists():
        raise ConfigError(f"hydra.sweep.dir: {directory} already holds a sweep; resume={directory} finishes it")
    _directory = directory


def compose_once(loader: ConfigLoader) -> None:
    """Have the loader remember what it composed for a job, which takes a tenth of a second.

    Hydra's sweeper composes every job to see whether that can be done, and its launcher composes it once more.
    """
    compose = loader.load_sweep_config
    composed: dict[tuple[str, ...], DictConfig] = {}

    def load_sweep_config(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        job = tuple(sweep_overrides)
        if job not in composed:
            composed[job] = compose(master_config, sweep_overrides)
        own = deepcopy(composed[job])
        OmegaConf.copy_cache(from_config=master_config, to_config=own)  # ${now:}, the same for the whole sweep
        return own

    loader.load_sweep_config = load_sweep_config  # type: ignore[method-assign]


def report() -> bool:
    """Print the leaderboard, if there was a sweep, and write its page; whether all jobs completed."""
    if _directory is None or not _directory.exists():
        return True
    jobs = runs.jobs(_directory)
    describe = optional("sweep_report") or _list_of_jobs
    print(describe(jobs, _directory))
    print(f"sweep directory  {_directory}")
    unfinished = sum(job.status != runs.COMPLETED for job in jobs)
    if unfinished:
        print(f"{unfinished} of {len(jobs)} jobs did not complete; to finish them:")
        print(f"  python src/train.py resume={_directory}")
    return not unfinished


def _list_of_jobs(jobs: Sequence[runs.Run], directory: Path) -> str:
    """One line a job, in the order of their numbers: for a copy of the project without the leaderboard."""
    return "\n".join(f"{runs.shown(job.directory)}  {job.status}  {_accuracy(job)}".rstrip() for job in jobs)


def _accuracy(job: runs.Run) -> str:
    value = (job.result.get("metrics") or {}).get("val/acc")
    return "" if value is None else f"val/acc {value:.2%}"
