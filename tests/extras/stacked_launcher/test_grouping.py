"""Jobs are stacked where that is the same computation, and the others are told why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.kill_and_resume import configuration

from mnist_mlp.config.schema import Config
from mnist_mlp.distributed import hardware
from mnist_mlp.engine.job import Job, even_parts
from mnist_mlp.extras.stacked_launcher import grouping
from mnist_mlp.extras.stacked_launcher.grouping import numbers, obstacle, plan
from mnist_mlp.runs import directories


def job(number: int, config: Config, directory: Path = Path("nowhere")) -> Job:
    return Job(number=number, config=config, directory=directory)


@pytest.fixture(scope="module")
def config() -> Config:
    return configuration()


def test_a_mixed_sweep_is_grouped_by_what_must_agree(config: Config) -> None:
    configs = [
        replace(config, threads=1, seed=seed, model=replace(config.model, hidden=hidden, loss=loss))
        for hidden in ([32], [64])
        for loss in ("cross_entropy", "mse")
        for seed in range(3)
    ]
    planned = plan([job(number, config) for number, config in enumerate(configs)], most=100)
    assert [numbers(stack) for stack in planned.stacks] == ["0-5", "6-11"]
    assert planned.alone == []


@pytest.mark.parametrize(
    "override",
    [
        "optimizer.lr=0.1",
        "optimizer.weight_decay=0.5",
        "optimizer.betas=[0.5,0.5]",
        "optimizer.eps=0.1",
        "model.dropout=0",
        "model.label_smoothing=0.3",
        "model.loss=nll",
        "scheduler=constant",
        "scheduler.warmup=0.1",
        "seed=7",
    ],
)
def test_members_may_differ_in(override: str, config: Config) -> None:
    assert len(plan([job(0, config), job(1, configuration(override))], most=100).stacks) == 1


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("data.batch_size=25", "data.batch_size"),
        ("model.activation=tanh", "model.activation"),
        ("trainer.max_epochs=4", "trainer.max_epochs"),
        ("trainer.gradient_clip_val=1", "trainer.gradient_clip_val"),
        ("optimizer=adam", "optimizer.name"),
        ("model.adversarial=1", "model.adversarial"),  # by autograd, and the others of its stack with it
    ],
)
def test_members_must_agree_in_and_the_loner_is_told(override: str, key: str, config: Config) -> None:
    jobs = [job(0, config), job(1, replace(config, seed=1)), job(2, configuration(override))]
    planned = plan(jobs, most=100)
    assert [numbers(stack) for stack in planned.stacks] == ["0-1"]
    [(alone, reason)] = planned.alone
    assert alone.number == 2
    assert reason == f"no other job can share its stack; the most similar, job 0, differs in {key}"


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("trainer.precision=bf16-mixed", "trainer.precision=bf16-mixed has no stacked form"),
        ("trainer.overfit_batches=1", "trainer.overfit_batches validates on images that depend on the seed"),
        ("trainer.max_time=00:00:01:00", "trainer.max_time counts the seconds of one run"),
        ("trainer.devices=2", "trainer.devices divides one network's work among processes"),
        ("trainer.profiler=simple", "trainer.profiler and trainer.detect_anomaly look at one network"),
    ],
)
def test_what_has_no_stacked_form_runs_alone_and_says_why(override: str, reason: str) -> None:
    jobs = [job(seed, configuration(override, f"seed={seed}")) for seed in range(2)]
    planned = plan(jobs)
    assert planned.stacks == []
    assert [why for _, why in planned.alone] == [reason] * 2


def test_the_last_job_of_a_sweep_is_not_compared_with_complete_ones(config: Config, tmp_path: Path) -> None:
    jobs = [replace(job(number, replace(config, seed=number)), directory=tmp_path / str(number)) for number in range(3)]
    for complete in jobs[:2]:
        complete.directory.mkdir()
        (complete.directory / directories.RESULT).write_text('{"status": "completed"}')
    reasons = {one.number: reason for one, reason in plan(jobs).alone}
    assert reasons[2] == "no other job is left that could share a stack"


def test_a_section_that_stacking_does_not_know_runs_alone(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "unstackable", lambda config: ["scheduler"])
    assert obstacle(job(0, config)) == "scheduler has no stacked form"


def test_a_complete_job_is_not_trained_again(config: Config, tmp_path: Path) -> None:
    going_on = job(0, replace(config, resume="sweep"), tmp_path)
    assert obstacle(going_on) is None
    (tmp_path / directories.RESULT).write_text('{"status": "completed"}')
    assert obstacle(going_on) == "complete already"


def test_stacks_are_alike_in_size_and_none_is_too_big(config: Config) -> None:
    jobs = [job(number, replace(config, threads=1, seed=number)) for number in range(10)]
    assert [len(stack) for stack in plan(jobs, most=4).stacks] == [3, 3, 4]
    assert even_parts(range(2), 5) == [[0], [1]]


@pytest.mark.parametrize(
    ("count", "sizes"), [(2, [2]), (3, [3]), (4, [2, 2]), (12, [6, 6]), (34, [8, 9, 8, 9]), (50, [12, 13, 12, 13])]
)
def test_all_cores_have_as_many_stacks(count: int, sizes: list[int], config: Config) -> None:
    jobs = [job(number, replace(config, threads=2, seed=number)) for number in range(count)]
    assert [len(stack) for stack in plan(jobs).stacks] == sizes


def test_a_stack_that_memory_cannot_hold_is_split(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job(number, replace(config, threads=1, seed=number)) for number in range(6)]
    monkeypatch.setattr(grouping, "_memory", lambda: 2 * 3 * grouping.bytes_of_member(config))
    assert [len(stack) for stack in plan(jobs).stacks] == [3, 3]


def test_one_stack_at_a_time_is_trained_on_an_apple_gpu(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "has_mps", lambda: True)
    assert grouping.stacks_at_once(replace(config, trainer=replace(config.trainer, accelerator="auto"))) == 1


def test_numbers_of_jobs_in_words(config: Config) -> None:
    assert numbers([job(number, config) for number in (0, 1, 2, 5, 7, 8)]) == "0-2, 5, 7-8"
