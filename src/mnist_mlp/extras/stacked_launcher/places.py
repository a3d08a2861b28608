"""The places where stacks can be trained, and what each stack is given there: keys of `hydra.launcher`.

Hydra imports this module whatever command runs.
"""

from dataclasses import dataclass

from mnist_mlp.extras.stacked_launcher.grouping import MOST_ON_A_CORE, MOST_ON_A_GPU

HERE, SUBMITIT_LOCAL, SLURM, RAY = "here", "submitit_local", "slurm", "ray"


@dataclass
class Resources:
    """Where stacks are trained, and, elsewhere than `here`, what each of them is given."""

    on: str = HERE
    """here: processes of this command; submitit_local: processes of their own; slurm; ray"""
    at_once: int | None = None
    """at most so many stacks in the queue or running at any time; null: the cores of the machine divided by `cpus`, on
    Ray twice as many, on SLURM 1,000"""
    attempts: int = 5
    """how often a stack is begun in all, if its process or machine is lost"""
    cpus: int = 1
    """cores of one stack"""
    gpus: int = 0
    """GPUs of a stack"""
    mem_gb: float | None = None
    """of a stack on SLURM; null: SLURM's own default"""
    timeout_min: int = 240
    """after which SLURM ends a stack; it goes back to the queue and goes on"""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    """these four are options of SLURM"""
    setup: list[str] | None = None
    """commands to run before, as [module load python]"""
    address: str | None = None
    """of a Ray cluster; null: one of this machine, for this sweep"""


def most_in_a_stack(resources: Resources) -> int:
    """Networks; the machine that trains them is not known yet."""
    return MOST_ON_A_GPU if resources.gpus else MOST_ON_A_CORE
