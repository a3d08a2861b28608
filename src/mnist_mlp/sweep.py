"""The sweep that this process runs: begun once, told at its end in one table, also when it was stopped."""

from __future__ import annotations

from pathlib import Path

from mnist_mlp import runs
from mnist_mlp.errors import ConfigError

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


def report() -> bool:
    """Print the table of jobs, if there was a sweep; whether all of them completed."""
    if _directory is None or not _directory.exists():
        return True
    jobs = runs.jobs(_directory)
    print(table(jobs))
    unfinished = [job for job in jobs if job.status != runs.COMPLETED]
    if unfinished:
        print(f"{len(unfinished)} of {len(jobs)} jobs did not complete; to finish them:")
        print(f"  python src/train.py resume={_directory}")
    else:
        print(f"sweep directory  {_directory}")
    return not unfinished


def table(jobs: list[runs.Run]) -> str:
    """One line a job: its number, status, accuracies in percent, seconds, and what sets it apart."""
    lines = [f"{'job':>4}  {'status':<11}  {'val/acc':>7}  {'test/acc':>8}  {'seconds':>7}  overrides"]
    for job in jobs:
        metrics = job.result.get("metrics", {})
        seconds = job.result.get("seconds", {}).get("total")
        lines.append(
            f"{job.directory.name:>4}  {job.status:<11}  {_percent(metrics.get('val/acc')):>7}  "
            f"{_percent(metrics.get('test/acc')):>8}  {'-' if seconds is None else format(seconds, '.1f'):>7}  "
            + " ".join(overrides(job.directory))
        )
    return "\n".join(lines)


def overrides(job_directory: Path) -> list[str]:
    """The words that started this job, as Hydra noted them."""
    try:
        words = (job_directory / ".hydra" / "overrides.yaml").read_text().splitlines()
    except OSError:
        return []
    return [word.removeprefix("- ") for word in words if not word.startswith(("- resume=", "[]"))]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
