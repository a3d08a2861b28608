"""Backends by name, what each stack is given there (keys of `hydra.launcher`), and the checks of these keys.

Hydra imports this module whatever command runs.
"""

import logging
import os
import shutil
from dataclasses import dataclass
from typing import Any

from hydra.experimental.callback import Callback
from hydra.utils import get_object
from omegaconf import DictConfig

from mnist_mlp.config.errors import ConfigError, require
from mnist_mlp.config.overrides import key_of
from mnist_mlp.distributed.world import python_path
from mnist_mlp.extras.stacked_launcher.grouping import MOST_ON_A_CORE, MOST_ON_A_GPU
from mnist_mlp.runs.record import overrides_of

HERE, SUBMITIT_LOCAL, SLURM, RAY = "here", "submitit_local", "slurm", "ray"
BACKENDS = (HERE, SUBMITIT_LOCAL, SLURM, RAY)


@dataclass
class Resources:
    """Where stacks are trained, and, elsewhere than `here`, what each of them is given."""

    on: str = HERE
    """here: a process for each core, which trains one stack after another; submitit_local: a process for each stack,
    started again if it dies; slurm; ray"""
    at_once: int | None = None
    """at most so many stacks in the queue or running at any time; null: cores of this machine / `cpus`; on Ray 2 x
    cores of the cluster / `cpus`; on SLURM 1,000"""
    attempts: int = 5
    """how many times a stack is started at most, restarts after a lost process or machine included"""
    cpus: int = 1
    """cores that are set aside for one stack; its steps use one of them"""
    gpus: int = 0
    """GPUs of a stack"""
    mem_gb: float | None = None
    """memory of a stack on SLURM; null: SLURM's own default"""
    timeout_min: int = 240
    """minutes after which submitit ends a stack; it goes back to the queue and continues"""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    """these four are options of SLURM"""
    setup: list[str] | None = None
    """commands to run before, as [module load python]"""
    address: str | None = None
    """of a Ray cluster; null: one of this machine, for this sweep"""


LONGEST_SAVE = 60
"""Seconds that stopped stacks have to save what they have."""
OF_SLURM = ("partition", "account", "qos", "constraint", "setup")
# Keys that have an effect on these backends only. Every other key has one on all backends but `here`.
EFFECTIVE_ON = {
    "address": (RAY,),
    "timeout_min": (SUBMITIT_LOCAL, SLURM),
    **dict.fromkeys(("mem_gb", *OF_SLURM), (SLURM,)),
}
# Keys of `hydra.launcher` that count something, of any launcher of ours; null is allowed too.
AT_LEAST_ONE = ("most", "at_once", "attempts", "cpus", "cpus_per_task", "nodes", "tasks_per_node", "timeout_min")


def most_in_a_stack(resources: Resources) -> int:
    """Networks in a stack for another machine, whose memory is not known here; see `members_at_once` for this one."""
    return MOST_ON_A_GPU if resources.gpus else MOST_ON_A_CORE


def refuse_unusable(hydra: DictConfig) -> None:
    """Check `hydra.launcher` of `hydra/launcher=stacked` before any work.

    Raises:
        ConfigError: there is no such backend, no SLURM on this machine, or a key has a wrong value or no effect.
        MissingPackageError: a package is not installed.
    """
    on = hydra.launcher.on
    if on not in BACKENDS:
        raise ConfigError(f"hydra.launcher.on: expected one of {', '.join(BACKENDS)}, got {on}")
    for override in sorted(map(key_of, overrides_of(hydra)["hydra"])):
        name = override.removeprefix("hydra.launcher.")
        where = EFFECTIVE_ON.get(name, BACKENDS[1:])
        if name not in (override, "on", "most") and on not in where:
            raise ConfigError(
                f"{override}: has no effect with hydra.launcher.on={on}; it goes with on={', '.join(where)}"
            )
    for name in ("chdir", "env_set"):
        if hydra.job.get(name):
            raise ConfigError(f"hydra.job.{name}: has no effect on jobs that are trained as one stack; leave it out")
    for name, callback in hydra.callbacks.items():
        kind: Any = get_object(callback._target_)
        if getattr(kind, "on_job_end", Callback.on_job_end) is not Callback.on_job_end:
            raise ConfigError(f"hydra.callbacks.{name}: its on_job_end is not called for jobs of a stack; leave it out")
    refuse_wrong_numbers(hydra)
    if on == RAY:
        require("ray")
    elif on != HERE:
        require("submitit", package="hydra-submitit-launcher")
    if on == SLURM:
        require_slurm("hydra.launcher.on", SLURM, instead=SUBMITIT_LOCAL)


def refuse_wrong_numbers(hydra: DictConfig) -> None:
    """Raise ConfigError if a number among the keys of `hydra.launcher` is too small, or no number."""
    for name in AT_LEAST_ONE:
        value = hydra.launcher.get(name)
        if value is not None and not (type(value) is int and value >= 1):
            raise ConfigError(f"hydra.launcher.{name}: expected a whole number from 1, got {value}")


def require_slurm(key: str, value: str, *, instead: str) -> None:
    """Raise ConfigError if this machine has no SLURM, which `key=value` needs."""
    if shutil.which("srun") is None:
        raise ConfigError(
            f"{key}={value}: expected SLURM's commands on this machine, found no srun; {key}={instead} runs jobs side "
            "by side without it"
        )


def prepare_for_submitit(cpus: int | None) -> None:
    """Set what the processes that submitit starts inherit: where they find our modules, and their number of cores."""
    import submitit  # noqa: F401  # sets up its logging when imported

    os.environ["PYTHONPATH"] = python_path()
    if cpus is not None:
        os.environ["OMP_NUM_THREADS"] = str(cpus)
    # Without SLURM accounting, submitit logs a warning for each failed `sacct` query; it then relies on the result
    # files only.
    logging.getLogger("submitit").setLevel(logging.ERROR)
