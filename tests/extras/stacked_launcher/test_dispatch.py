"""Stacks are handed out as there is room, and once more where they were lost; a line tells how far it is."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from helpers.kill_and_resume import configuration

from mnist_mlp.extras.stacked_launcher import dispatch
from mnist_mlp.extras.stacked_launcher.grouping import Job
from mnist_mlp.runs import directories


class Machine:
    """A backend that loses what it is given as often as it is told to, and completes the rest."""

    def __init__(self, at_once: int, attempts: int, losses: int) -> None:
        self.at_once, self.attempts, self.losses = at_once, attempts, losses
        self.running: deque[tuple[int, dict[str, Any]]] = deque()
        self.most, self.given = 0, 0
        self.bars: list[list[str]] = []
        """of the stacks that are trained at once, whenever a stack is added"""

    def open(self) -> nullcontext[None]:
        return nullcontext()

    def submit(self, task: dict[str, Any]) -> int:
        self.given += 1
        self.running.append((self.given, task))
        self.most = max(self.most, len(self.running))
        self.bars.append([task["bar"] for _, task in self.running if task["bar"] is not None])
        return self.given

    def ended(self, seconds: float) -> list[tuple[int, str | None]]:
        ticket, task = self.running.popleft()
        if self.losses:
            self.losses -= 1
            return [(ticket, "a node is gone")]
        for job in task["stack"]:
            (Path(job["directory"]) / directories.RESULT).write_text('{"status": "completed"}')
        return [(ticket, None)]


@pytest.fixture
def stacks(tmp_path: Path) -> list[list[Job]]:
    for number in range(6):
        (tmp_path / str(number)).mkdir()
    jobs = [Job(number=number, config=configuration(), directory=tmp_path / str(number)) for number in range(6)]
    return [jobs[:2], jobs[2:4], jobs[4:]]


@pytest.mark.parametrize(
    ("attempts", "losses", "told"),
    [
        (3, 2, ["jobs 0-1 are started again: a node is gone", "jobs 0-1 are started again: a node is gone"]),
        (1, 1, ["jobs 0-1 are lost: a node is gone"]),
    ],
)
def test_a_lost_stack_is_handed_out_again_a_few_times(
    stacks: list[list[Job]],
    caplog: pytest.LogCaptureFixture,
    attempts: int,
    losses: int,
    told: list[str],
) -> None:
    backend = Machine(1, attempts, losses)
    dispatch.train(stacks, backend)
    assert caplog.messages == told
    complete = [directories.read(job.directory).status == directories.COMPLETED for stack in stacks for job in stack]
    assert complete == [attempts > losses] * 2 + [True] * 4


def test_a_stack_whose_job_had_failed_before_is_handed_out_again_when_it_is_lost(
    stacks: list[list[Job]], caplog: pytest.LogCaptureFixture
) -> None:
    (stacks[0][0].directory / directories.RESULT).write_text('{"status": "failed"}')
    (stacks[0][1].directory / directories.RESULT).write_text('{"status": "completed"}')
    backend = Machine(1, 3, 1)
    dispatch.train(stacks[:1], backend)
    assert caplog.messages == ["jobs 0 are started again: a node is gone"]
    assert backend.given == 2


def test_a_stack_is_prepared_when_there_is_room_for_it_and_not_before(stacks: list[list[Job]]) -> None:
    backend, prepared = Machine(2, 1, 0), []

    def prepare(stack: Sequence[Job]) -> Sequence[Job]:
        prepared.append(backend.given)
        return stack

    dispatch.train(stacks, backend, prepare=prepare)
    assert (backend.most, prepared) == (2, [0, 1, 2])
    assert backend.bars == [["stack 1/3 "], ["stack 1/3 "], ["stack 3/3 "]]  # one progress bar at any time


def test_once_a_minute_a_line_tells_how_many_jobs_are_done(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    progress = dispatch.Progress(4096, clock=lambda: clock[0])
    with caplog.at_level(logging.INFO):
        for second, done in ((30, 16), (60, 16), (61, 480), (120, 512), (240, 3072)):
            clock[0] = second
            progress.add(done)
            progress.tell()
    assert caplog.messages == [
        "32 of 4,096 jobs done, the rest in 2.1 h",
        "1,024 of 4,096 jobs done, the rest in about 6 min",
    ]
