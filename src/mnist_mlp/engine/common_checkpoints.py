"""Checkpoints from which stopped jobs resume: the members of a stack have to resume at the same optimizer step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.engine.job import Job
from mnist_mlp.runs.resume_checkpoint import intact_checkpoints


def common_checkpoints(jobs: Sequence[Job]) -> list[Path | None]:
    """For each job its newest intact checkpoint at a step that all have saved; None for jobs without any checkpoint.

    Raises:
        ConfigError: no step is common to all jobs of the stack.
    """
    if jobs[0].config.resume is None:
        return [None] * len(jobs)
    points = [intact_checkpoints(job.config, job.directory) for job in jobs]
    common = set.intersection(*(set(point) for point in points))
    if common:
        return [point[max(common)] for point in points]
    if any(points):
        raise ConfigError(
            "resume: the jobs of a stack have no checkpoint at the same optimizer step; resume each of them alone"
        )
    return [None] * len(jobs)


def group_by_saved_step(jobs: Sequence[Job]) -> list[list[Job]]:
    """Stopped jobs of one shape, grouped so that those of a group have a checkpoint at one step, or none at all."""
    parts: list[tuple[set[int], list[Job]]] = []
    for job in jobs:
        steps = set(intact_checkpoints(job.config, job.directory)) if job.config.resume is not None else set()
        for part, (common, members) in enumerate(parts):
            none_has_a_checkpoint = not common and not steps
            if common & steps or none_has_a_checkpoint:
                parts[part] = (common & steps, [*members, job])
                break
        else:
            parts.append((steps, [job]))
    return [members for _, members in parts]
