"""Name of a run for display, made of the overrides on its command line."""

from __future__ import annotations

import re
from pathlib import Path

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs.record import read_run, read_sweep

LONGEST = 100  # characters in the name of a folder


def run_name(directory: Path) -> str:
    """The overrides of a run with short keys, `lr=0.003 hidden=[64] seed=1`; empty if there are none.

    For a job of a sweep only those that differ between the jobs.
    """
    try:
        run = read_run(directory)
        sweep = read_sweep(directory / run.sweep) if run and run.sweep else None
    except ConfigError:  # a damaged record: no name
        return ""
    given = run.command.task if run and run.command else []
    if sweep and sweep.jobs:
        varied = [override for override in given if any(override not in job.overrides for job in sweep.jobs)]
    else:
        varied = [override for override in given if not sweep or override not in sweep.command.task]
    pairs = [override.partition("=") for override in varied or given if "=" in override]
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, _, value in pairs)


def folder_name(name: str) -> str:
    """`name` without characters that are not allowed in the name of a folder on some system."""
    return re.sub(r"[^\w=.,+\[\] -]+", "-", name)[:LONGEST].strip(" .")
