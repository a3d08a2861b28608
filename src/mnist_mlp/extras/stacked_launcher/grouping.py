"""Grouping: jobs of a sweep that can be trained side by side, and the reasons why the others cannot."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_mlp.config.keys import keys_where, leaves, per_member, unstackable
from mnist_mlp.config.schema import Config, MLPConfig
from mnist_mlp.distributed.hardware import cores, has_mps, uses_gpu
from mnist_mlp.distributed.world import ranks_of_run
from mnist_mlp.engine.job import Job, even_parts
from mnist_mlp.extras.text_table import ranges
from mnist_mlp.model.size import parameters
from mnist_mlp.runs import directories

# Networks in a stack, at most: more on one core would not fit into its cache; more on a GPU gain nothing, and each
# keeps a log file open.
MOST_ON_A_CORE, MOST_ON_A_GPU = 16, 256
COMPLETE = "complete already"


@dataclass(frozen=True, kw_only=True)
class Plan:
    stacks: list[list[Job]]
    alone: list[tuple[Job, str]]
    """jobs to be run one after another, each with the reason"""


def plan(jobs: Sequence[Job], most: int | None = None, multiple_of: int | None = None) -> Plan:
    """Divide the jobs into stacks of similar size, and into jobs that run alone.

    `most`: networks in a stack; None: what suits the device.
    A group is divided into a multiple of `multiple_of` stacks (None: `stacks_at_once`), so that no core is idle at the
    end; into fewer if a stack would otherwise have one network only.
    """
    groups, alone = stackable_groups(jobs)
    stacks = []
    keys_of_groups = [shared_keys(group[0].config) for group in groups]
    for number, group in enumerate(groups):
        if len(group) == 1:
            alone.append((group[0], _difference(number, groups, keys_of_groups)))
            continue
        width = multiple_of or stacks_at_once(group[0].config)
        parts = math.ceil(len(group) / (most or members_at_once(group[0].config)))
        stacks += even_parts(group, max(parts, min(width * math.ceil(parts / width), len(group) // 2)))
    return Plan(stacks=stacks, alone=alone)


def stackable_groups(jobs: Sequence[Job]) -> tuple[list[list[Job]], list[tuple[Job, str]]]:
    """Jobs that can be trained side by side, group by group, and those that cannot, each with the reason."""
    alone: list[tuple[Job, str]] = []
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        if reason := obstacle(job):
            alone.append((job, reason))
        else:
            groups.setdefault(tuple(sorted(shared_keys(job.config).items())), []).append(job)
    return list(groups.values()), alone


def differing(jobs: Sequence[Job]) -> list[str]:
    """The keys that keep these jobs from being one stack."""
    every = [shared_keys(job.config) for job in jobs]
    names = dict.fromkeys(name for keys in every for name in keys)
    return [name for name in names if len({keys.get(name) for keys in every}) > 1]


def obstacle(job: Job) -> str | None:
    """Why this job cannot be a member of any stack, if so."""
    config = job.config
    if type(config) is not Config:
        return "only training has a stacked form"
    trainer = config.trainer
    for name in unstackable(config):
        return f"{name} has no stacked form"
    if trainer.precision not in ("32-true", "64-true"):
        return f"trainer.precision={trainer.precision} has no stacked form"
    if config.engine == "plain":
        return "engine=plain trains one network"
    if config.model.name != "mlp":
        return f"model.name={config.model.name} has no stacked form"
    if ranks_of_run(trainer) > 1:
        return "trainer.devices divides one network's work among processes"
    if config.logger.wandb:
        return "logger.wandb follows one run at a time"
    if trainer.overfit_batches:
        return "trainer.overfit_batches validates on images that depend on the seed"
    if trainer.max_time is not None:
        return "trainer.max_time counts the seconds of one run"
    if trainer.profiler is not None or trainer.detect_anomaly:
        return "trainer.profiler and trainer.detect_anomaly look at one network"
    if directories.read(job.directory).status == directories.COMPLETED:
        return COMPLETE
    return None


def shared_keys(config: Config) -> dict[str, str]:
    """The keys that have one value in all members of a stack, with their values as text."""
    own = keys_where(per_member)
    return {name: repr(value) for name, value, _ in leaves(config) if name not in own}


def _difference(number: int, groups: Sequence[Sequence[Job]], keys: Sequence[Mapping[str, str]]) -> str:
    """The keys in which a group differs from the one that is most like it: why they cannot be in one stack.

    `keys`: the `shared_keys` of each group.
    """
    own = keys[number]
    others = [
        (group[0], sorted(name for name in own.keys() | other.keys() if own.get(name) != other.get(name)))
        for group, other in zip(groups, keys, strict=True)
        if other is not own
    ]
    if not others:
        return "no other job is left that could share a stack"
    nearest, names = min(others, key=lambda pair: len(pair[1]))
    return f"no other job can share its stack; the most similar, job {nearest.number}, differs in {', '.join(names)}"


def numbers(jobs: Sequence[Job]) -> str:
    """`0-3, 7`: the numbers of the jobs in words."""
    return ranges(job.number for job in jobs)


def stacks_at_once(config: Config) -> int:
    """How many stacks to train at once: one on a GPU; on the CPU `threads`, as each uses one thread, or all cores."""
    return 1 if _on_gpu(config) else config.threads or cores()


def members_at_once(config: Config) -> int:
    """How many such networks to train in one stack on this machine."""
    memory, most = (_gpu_memory(), MOST_ON_A_GPU) if _on_gpu(config) else (_memory(), MOST_ON_A_CORE)
    return max(1, min(most, memory // 2 // stacks_at_once(config) // bytes_of_member(config)))


def _on_gpu(config: Config) -> bool:
    return uses_gpu(config.trainer.accelerator)


def bytes_of_member(config: Config) -> int:
    """Memory that one member takes: weights, gradients, means of Adam, the EMA, the order of the images in an epoch,
    and the activations of a step."""
    # Imported here: they import NumPy, and Hydra imports this module for every command.
    from mnist_mlp.data.run_length import images_per_step
    from mnist_mlp.data.sources import describe

    info = describe(config.data)
    assert isinstance(config.model, MLPConfig)
    weights = parameters(config.model, info.image_shape, len(info.class_names))
    assert weights is not None
    units = math.prod(info.image_shape) + sum(config.model.hidden) + len(info.class_names)
    number = 8 if config.trainer.precision == "64-true" else 4
    step = images_per_step(config.data, config.trainer) * units * number
    return 5 * weights * number + 8 * info.train_size + 4 * step


def _memory() -> int:
    """Bytes that new processes can have on this machine; what its page cache holds is among them."""
    with suppress(OSError, AttributeError):  # a Linux has this file
        found = re.search(r"^MemAvailable: *(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not a Linux
        return 4 * 2**30


def _gpu_memory() -> int:
    if has_mps():
        return _memory()  # it is shared
    import torch  # here, as only a sweep on a GPU needs it in this process

    return torch.cuda.mem_get_info()[0]
