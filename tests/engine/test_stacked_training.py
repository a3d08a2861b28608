"""A job that was trained in a stack leaves what a run of its own leaves."""

from __future__ import annotations

import json
import logging
import math
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.kill_and_resume import configuration, difference

from mnist_mlp.config.errors import Interrupted
from mnist_mlp.config.schema import Config
from mnist_mlp.engine import stack
from mnist_mlp.engine.chunks import Chunk
from mnist_mlp.engine.hand_written_step import HandWrittenStep
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.train_stack import train_stack
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.training import train

COMMON = [
    "logger=tensorboard",
    "model.dropout=0",
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=40",
    "trainer.precision=64-true",
]
# What may differ inside a stack, in every combination that has an odd corner.
OWN = [
    ["seed=1", "optimizer.lr=1e-2"],
    ["seed=2", "model.dropout=0.3", "model.loss=mse", "model.label_smoothing=0.2"],
    ["seed=3", "model.dropout=0.1", "model.loss=nll", "scheduler=cosine", "optimizer.weight_decay=0.5"],
    ["seed=4", "scheduler=constant", "optimizer.betas=[0.5,0.9]", "optimizer.eps=1e-3", "model.label_smoothing=0"],
    ["seed=5", "averaging.decay=0.9", "augment=affine", "model.dropout=0.2"],
    ["seed=5", "averaging.decay=0.99", "augment=elastic", "optimizer.lr=1e-4"],
]


def jobs(configs: list[Config], directory: Path) -> list[Job]:
    made = []
    for number, config in enumerate(configs):
        (directory / str(number)).mkdir(parents=True)
        file = {"class": "logging.FileHandler", "filename": str(directory / str(number) / "train.log")}
        own_log_files = {"version": 1, "handlers": {"file": file}, "root": {"level": "INFO", "handlers": ["file"]}}
        own_log_files["disable_existing_loggers"] = False
        made.append(Job(number=number, config=config, directory=directory / str(number), logging=own_log_files))
    return made


def pairs(configs: list[Config], directory: Path) -> list[tuple[Path, Path]]:
    """The directory of each job trained in a stack, and that of the same job trained alone."""
    logging.getLogger("mnist_mlp").setLevel(logging.INFO)
    train_stack(jobs(configs, directory / "stacked"))
    found = []
    for number, config in enumerate(configs):
        alone = directory / "alone" / str(number)
        alone.mkdir(parents=True)
        train(config, alone)
        found.append((directory / "stacked" / str(number), alone))
    return found


def furthest(left: Any, right: Any, where: str = "") -> float:
    """The largest difference of two numbers in the same place; anything else must be equal."""
    if where.endswith(("seconds", "/resume", "/images_per_second", "/git")):
        return 0.0
    if isinstance(left, dict):
        assert list(left) == list(right), where
        return max((furthest(left[key], right[key], f"{where}/{key}") for key in left), default=0.0)
    if isinstance(left, list | tuple):
        assert len(left) == len(right), where
        return max(
            (furthest(*pair, f"{where}/{at}") for at, pair in enumerate(zip(left, right, strict=True))), default=0
        )
    if isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype and left.shape == right.shape, where
        return float((left.double() - right.double()).abs().max()) if left.numel() else 0.0
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right)
    assert type(left) is type(right) and left == right, f"{where}: {left} against {right}"
    return 0.0


@pytest.fixture(scope="module")
def in_float64(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    return pairs([configuration(*COMMON, *own) for own in OWN], tmp_path_factory.mktemp("float64"))


@pytest.mark.slow
def test_results_equal_those_of_single_runs(in_float64: list[tuple[Path, Path]]) -> None:
    for together, alone in in_float64:
        left, right = (json.loads((place / directories.RESULT).read_text()) for place in (together, alone))
        assert left["status"] == "completed"
        # Metrics are added up in single precision in both.
        assert furthest(left, right) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", [checkpoint_file.LAST, checkpoint_file.BEST])
def test_checkpoints_equal_those_of_single_runs(in_float64: list[tuple[Path, Path]], name: str) -> None:
    for together, alone in in_float64:
        left, right = (checkpoint_file.read(place / directories.CHECKPOINTS / name) for place in (together, alone))
        for part in ("state_dict", "optimizer_states"):
            assert furthest(left.pop(part), right.pop(part), part) < 1e-9
        assert furthest(left, right) < 1e-6  # history and counters, in the same layout
        sizes = [(place / directories.CHECKPOINTS / name).stat().st_size for place in (together, alone)]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.05)  # its own rows, not those of the whole stack


def test_a_network_has_the_same_bits_in_any_stack_and_alone(tmp_path: Path) -> None:
    """Whose 6,370 weights fill no whole number of cache lines."""
    words = ("model.hidden=[8]", "trainer.limit_train_batches=10", "logger=none")
    configs = [configuration(*words, f"seed={seed}") for seed in range(3)]
    train_stack(jobs(configs, tmp_path / "stacked"))
    train_stack(jobs(configs[1:2], tmp_path / "alone"))
    assert difference(tmp_path / "stacked" / "1", tmp_path / "alone" / "0") is None


@pytest.mark.slow
def test_a_run_leaves_the_same_files(in_float64: list[tuple[Path, Path]]) -> None:
    def names(place: Path) -> set[str]:
        found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
        return {name for name in found if "tfevents" not in name and not name.endswith(".log")}

    for together, alone in in_float64:
        assert names(together) == names(alone)
        assert list((together / "tensorboard").glob("events*"))


@pytest.mark.slow
def test_each_job_has_its_own_words_in_its_log(in_float64: list[tuple[Path, Path]]) -> None:
    logs = [(together / "train.log").read_text() for together, _ in in_float64]
    assert all(len(log.splitlines()) == 2 and "epoch   2/2  train loss" in log for log in logs)
    assert len(set(logs)) == len(logs)


@pytest.mark.slow
def test_a_member_goes_on_as_a_single_run(tmp_path: Path) -> None:
    def config(seed: int, epochs: int, **kept: Any) -> Config:
        own = [f"seed={seed}", "scheduler=constant", f"trainer.max_epochs={epochs}", "model.dropout=0.2"]
        return replace(configuration(*COMMON, *own), **kept)

    (together, alone), _ = pairs([config(seed, 1) for seed in (1, 2)], tmp_path)
    for place in (together, alone):
        train(config(1, 2, resume=str(place)), place)
    left, right = (
        checkpoint_file.read(place / directories.CHECKPOINTS / checkpoint_file.LAST) for place in (together, alone)
    )
    assert furthest(left["state_dict"], right["state_dict"]) < 1e-9
    assert furthest(left["callbacks"], right["callbacks"]) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=sgd", "optimizer.lr=0.1", "optimizer.nesterov=true"],
        [
            *("optimizer=sgd", "optimizer.momentum=0", "model.hidden=[]"),
            *("trainer.gradient_clip_algorithm=value", "trainer.gradient_clip_val=0.001"),
        ],
        ["optimizer=adam", "trainer.gradient_clip_val=0.1", "optimizer.weight_decay=0.01", "model.activation=gelu"],
        ["trainer.max_steps=13", "model.loss=mse"],
        ["trainer.val_check_interval=0.5", "trainer.check_val_every_n_epoch=2", "trainer.accumulate_grad_batches=2"],
    ],
    ids=lambda overrides: ",".join(overrides[:2]),
)
def test_other_ways_of_training_equal_single_runs(tmp_path: Path, overrides: list[str]) -> None:
    common = [*COMMON, "trainer.limit_train_batches=10", "trainer.log_every_n_steps=3", *overrides]
    for together, alone in pairs([configuration(*common, f"seed={seed}") for seed in range(2)], tmp_path):
        left, right = (
            checkpoint_file.read(place / directories.CHECKPOINTS / checkpoint_file.LAST) for place in (together, alone)
        )
        assert furthest(left.pop("state_dict"), right.pop("state_dict")) < 1e-9
        assert furthest(left.pop("optimizer_states"), right.pop("optimizer_states")) < 1e-9
        assert furthest(left, right) < 1e-6


@pytest.mark.slow
def test_the_best_of_several_validations_in_an_epoch_is_reported(tmp_path: Path) -> None:
    words = ("trainer.val_check_interval=2", "optimizer.lr=0.3", "scheduler=constant", "trainer.limit_train_batches=12")
    configs = [configuration(*COMMON, *words, "trainer.max_epochs=1", f"seed={seed}") for seed in range(2)]
    found = pairs(configs, tmp_path)
    results = [[json.loads((place / directories.RESULT).read_text()) for place in pair] for pair in found]
    assert any(left["metrics"]["val/acc"] != left["history"][0]["val/acc"] for left, _ in results)
    for left, right in results:
        assert left["metrics"] == pytest.approx(right["metrics"], abs=1e-6)


@pytest.mark.slow
def test_a_stack_that_ends_inside_an_epoch_keeps_its_sums(tmp_path: Path) -> None:
    words = [*COMMON, "scheduler=constant", "trainer.limit_train_batches=16"]
    config = configuration(*words)
    stopped = [configuration(*words, "trainer.max_steps=24", f"seed={seed}") for seed in (config.seed, 1)]
    train_stack(jobs(stopped, tmp_path / "stacked"))
    together, alone = tmp_path / "stacked" / "0", tmp_path / "alone"
    alone.mkdir()
    lengthened = train(replace(config, resume=str(together)), together)
    whole = train(config, alone)
    for name in ("train/loss", "train/acc"):
        assert lengthened.history[-1][name] == pytest.approx(whole.history[-1][name], abs=1e-6)


def test_without_a_test_there_are_no_test_metrics(tmp_path: Path) -> None:
    words = [*COMMON, "trainer.limit_test_batches=0", "trainer.limit_train_batches=3"]
    train_stack(jobs([configuration(*words, f"seed={seed}") for seed in range(2)], tmp_path))
    metrics = json.loads((tmp_path / "0" / directories.RESULT).read_text())["metrics"]
    assert (metrics["test/acc"], metrics["test/loss"]) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [[], ["optimizer=sgd", "trainer.gradient_clip_val=0.1"]])
def test_in_float32_weights_are_those_of_single_runs_to_the_bit(tmp_path: Path, overrides: list[str]) -> None:
    own = [[word for word in words if not overrides or not word.startswith("optimizer.")] for words in OWN]
    common = [*COMMON, "trainer.precision=32-true", "threads=1", *overrides]
    # Where the products of a batch are rounded as one alone is; elsewhere as near as roundings are.
    allowed = 0.0 if rounded_alike() else 1e-3
    for together, alone in pairs([configuration(*common, *words) for words in own], tmp_path):
        left, right = (
            checkpoint_file.read(place / directories.CHECKPOINTS / checkpoint_file.LAST) for place in (together, alone)
        )
        for part in ("state_dict", "optimizer_states"):
            assert furthest(left.pop(part), right.pop(part), part) <= allowed
        assert furthest(left["callbacks"], right["callbacks"]) < 1e-6 + allowed  # losses are added up in another order


def rounded_alike() -> bool:
    x, weight = torch.randn(3, 20, 784), torch.randn(3, 32, 784)
    return torch.equal(
        torch.bmm(x, weight.mT), torch.stack([one @ other.T for one, other in zip(x, weight, strict=True)])
    )


def test_a_member_that_diverges_fails_alone(tmp_path: Path) -> None:
    rates = [1e-3, 1e300, 2e-3]
    own = ["optimizer=sgd", "scheduler=constant", "model.loss=cross_entropy"]
    configs = [configuration(*COMMON, *own, f"optimizer.lr={value}", "seed=5") for value in rates]
    found = pairs_of_survivors(configs, tmp_path)
    failed = json.loads((tmp_path / "stacked" / "1" / directories.RESULT).read_text())
    assert failed["status"] == "failed"
    assert failed["error"].startswith("DivergedError: the loss became")
    assert "failed: the loss became" in (tmp_path / "stacked" / "1" / "train.log").read_text()
    for together, alone in found:
        left, right = (
            checkpoint_file.read(place / directories.CHECKPOINTS / checkpoint_file.LAST)["state_dict"]
            for place in (together, alone)
        )
        assert furthest(left, right) < 1e-9


def pairs_of_survivors(configs: list[Config], directory: Path) -> list[tuple[Path, Path]]:
    train_stack(jobs(configs, directory / "stacked"))
    found = []
    for number in (0, 2):
        alone = directory / "alone" / str(number)
        alone.mkdir(parents=True)
        train(configs[number], alone)
        found.append((directory / "stacked" / str(number), alone))
    return found


def test_a_stack_of_failures_ends_without_an_error(tmp_path: Path) -> None:
    configs = [configuration(*COMMON, "optimizer=sgd", "optimizer.lr=1e300", f"seed={seed}") for seed in range(2)]
    train_stack(jobs(configs, tmp_path))
    results = [json.loads((tmp_path / str(number) / directories.RESULT).read_text()) for number in range(2)]
    assert [result["status"] for result in results] == ["failed", "failed"]
    assert all(math.isfinite(result["seconds"]["total"]) for result in results)


@pytest.mark.slow
def test_a_signal_stops_all_members_in_step_and_they_go_on_as_single_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [configuration("trainer.max_epochs=2", "checkpoint.every_seconds=1e6", f"seed={seed}") for seed in (1, 2)]

    run, came = HandWrittenStep.run, []

    def stopped_in_the_second_epoch(step: HandWrittenStep, chunk: Chunk, first_step: int) -> torch.Tensor:
        if step.length.steps_per_epoch < first_step < step.length.total_steps - 1 and not came:
            came.append(first_step)
            signal.raise_signal(signal.SIGTERM)
        return run(step, chunk, first_step)

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(HandWrittenStep, "run", stopped_in_the_second_epoch)
        train_stack(jobs(configs, tmp_path / "stacked"))
    for number, config in enumerate(configs):
        together, alone = tmp_path / "stacked" / str(number), tmp_path / "alone" / str(number)
        assert json.loads((together / directories.RESULT).read_text())["status"] == "interrupted"
        train(replace(config, resume=str(together)), together)
        alone.mkdir(parents=True)
        train(config, alone)
        left, right = (json.loads((place / directories.RESULT).read_text()) for place in (together, alone))
        assert left["metrics"]["val/acc"] == pytest.approx(right["metrics"]["val/acc"], abs=0.01)
        assert left["epochs"] == right["epochs"] == 2


@pytest.mark.slow
def test_the_comparison_sees_a_step_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnist_mlp.engine import hand_written_step

    seed: Callable[..., None] = hand_written_step.seed_torch
    common = [*COMMON, "model.dropout=0.2", "trainer.max_epochs=1", "trainer.limit_train_batches=5"]
    configs = [configuration(*common, f"seed={seed}") for seed in range(2)]
    found = pairs(configs, tmp_path)
    monkeypatch.setattr(hand_written_step, "seed_torch", lambda number, step, *on: seed(number, max(1, step) + 1, *on))
    monkeypatch.setattr(stack, "reason_for_autograd", lambda *_: None)
    train_stack(jobs(configs, tmp_path / "wrong"))
    for number, (_, alone) in enumerate(found):
        together = tmp_path / "wrong" / str(number)
        left, right = (
            checkpoint_file.read(place / directories.CHECKPOINTS / checkpoint_file.LAST)["state_dict"]
            for place in (together, alone)
        )
        assert furthest(left, right) > 1e-6


def test_a_member_that_fails_without_log_files_of_its_own_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = ["optimizer=sgd", "scheduler=constant", "model.loss=cross_entropy"]
    jobs = [
        Job(number=n, config=configuration(*COMMON, *own, f"optimizer.lr={rate}"), directory=tmp_path / str(n))
        for n, rate in enumerate((1e-3, 1e300))
    ]
    for job in jobs:
        job.directory.mkdir()
    train_stack(jobs, bar=None)
    assert caplog.text.count("job 1 failed: the loss became") == 1
