"""Several training runs of one shape at once; `train` is `mnist_mlp.training.train` for all of them in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mnist_mlp.callbacks.interruption import Interruption
from mnist_mlp.config.errors import UserError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data import sources
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.engine.member import Member, MemberCheckpointIO
from mnist_mlp.engine.stack import EachMember, EachMembersCheckpoints, StackedClassifiers, StackedDataModule, Told
from mnist_mlp.extras.stacked_launcher.grouping import Job
from mnist_mlp.runs.signals import interruptible, uninterrupted
from mnist_mlp.training import build_trainer


@interruptible()
def train(jobs: Sequence[Job]) -> None:
    """Train, validate and test every job, and leave in its directory what a run of its own would leave.

    A job that fails does so alone. What ends all of them, a signal for one, is raised.
    """
    config = jobs[0].config
    members: list[Member] = []
    # Threads that share every small product wait for one another longer than they work.
    torch.set_num_threads(1)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        members.extend(Member(job) for job in jobs)
        dataset = load(config.data)
        data = StackedDataModule(dataset, jobs)
        for member in members:
            member.build(dataset, data.budget)
        checkpoints = EachMembersCheckpoints(members, data.budget)
        trainer = build_trainer(
            config,
            data.budget,
            jobs[0].directory,
            [EachMember(), Interruption(checkpoints), Told(jobs), checkpoints],
            [],
            MemberCheckpointIO(members),
        )
        _enter_next_phase(members, work=_wait)
        trainer.fit(StackedClassifiers(members), datamodule=data)
        _enter_next_phase(members, work=lambda member: member.calibrate(data))
        with trainer.precision_plugin.test_step_context():
            _enter_next_phase(members, work=lambda member: member.test(data))
        _enter_next_phase(members, work=_wait)  # after the last one
    except BaseException as error:
        with uninterrupted():
            for member in members:
                if not member.failed:
                    member.end(error)
        raise


def _enter_next_phase(members: Sequence[Member], work: Callable[[Member], None]) -> None:
    """Let every member that has not failed enter its next phase and do its work there."""

    whole = [member for member in members if not member.failed]
    for member in whole:
        member.enter_next_phase()
    for member in whole:
        try:
            work(member)
        except UserError as error:
            member.fail(error)


def _wait(member: Member) -> None:
    """Nothing for each member alone."""


_loaded: dict[tuple[str, str, str | None], Dataset] = {}


def load(data: DataConfig) -> Dataset:
    """The data set, read and verified once for all stacks of a sweep."""
    place = data.name, data.dir, data.path
    if place not in _loaded:
        _loaded.clear()
        _loaded[place] = sources.load(data)
    return _loaded[place]
