"""A run that was stopped and goes on ends in the same bits as one that was left alone."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from helpers.command_lines import ask
from helpers.kill_and_resume import (
    EVERYTHING,
    configuration,
    difference,
    run_to_the_end,
    survive,
    train_in_child,
)
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mnist_mlp.callbacks import history
from mnist_mlp.config.errors import ConfigError, Interrupted
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.data import loader
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.runs.record import RUN, RunRecord, read_run, write_run
from mnist_mlp.runs.resume import expand, recorded_configuration
from mnist_mlp.runs.resume_checkpoint import newest_checkpoint
from mnist_mlp.training import train

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a training process cheaply")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("reference")
    run_to_the_end(configuration(), directory)
    return directory


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_resume_after_sigkill_matches_uninterrupted_run(tmp_path: Path, reference: Path, seed: int) -> None:
    assert survive(tmp_path / "run", reference, longest=1.5, chance=random.Random(seed), kills=2) is None


@pytest.mark.engine
@pytest.mark.slow
def test_resume_with_everything_on_matches_uninterrupted_run(tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    run_to_the_end(configuration(*EVERYTHING), reference)
    assert survive(tmp_path / "run", reference, 1.5, random.Random(0), kills=2, overrides=EVERYTHING) is None


@pytest.mark.engine
@pytest.mark.slow
def test_the_comparison_sees_an_order_that_depends_on_the_process(tmp_path: Path, reference: Path) -> None:
    def by_process(count: int, seed: int, epoch: int) -> torch.Tensor:
        return torch.randperm(count, generator=torch.Generator().manual_seed(os.getpid() + epoch))

    from mnist_mlp.engine import loader_check

    def break_the_order() -> None:
        loader.epoch_order = loader_check.epoch_order = by_process

    assert survive(tmp_path / "run", reference, 0.5, random.Random(0), prepare=break_the_order) is not None


def stopped_by(step_class: Any, number: int, then: Callable[[], object]) -> Callable[..., torch.Tensor]:
    """`HandWrittenStep.run` with one signal, in the second epoch; its first calls try the first and the last step."""
    run, came = step_class.run, []

    def stopped(step: Any, chunk: Any, first_step: int) -> torch.Tensor:
        if step.length.steps_per_epoch < first_step < step.length.total_steps - 1 and not came:
            came.append(number)
            then()
            signal.raise_signal(number)
        return run(step, chunk, first_step)

    return stopped


@pytest.mark.engine
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_epoch_saves_says_so_loses_no_step_and_the_epoch_is_reported_whole(
    tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    from mnist_mlp.engine.hand_written_step import HandWrittenStep

    config = replace(configuration(), checkpoint=replace(configuration().checkpoint, every_seconds=1e6))
    hours: list[int] = []
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(HandWrittenStep, "run", stopped_by(HandWrittenStep, number, then=lambda: hours.append(3600)))
        patched.setattr(history, "time", SimpleNamespace(perf_counter=lambda: time.perf_counter() + sum(hours)))
        train(config, tmp_path)
    left = json.loads((tmp_path / directories.RESULT).read_text())
    assert (left["status"], left["error"]) == ("interrupted", f"stopped by signal {int(number)}")
    assert checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)["global_step"] > 0
    result = train(replace(configuration(), resume=str(tmp_path)), tmp_path)
    assert difference(tmp_path, reference) is None
    assert 3600 < result.history[1]["seconds"] < 7200
    assert result.seconds["setup"] > left["seconds"]["setup"]
    assert result.seconds["fit"] >= 3600  # of an epoch whose process left no whole record, too


def test_a_run_whose_data_have_changed_is_refused_and_keeps_its_result(tmp_path: Path) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8), np.arange(40) % 2
    arrays = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    np.savez(tmp_path / "own.npz", **arrays)
    words = ("data=npz", f"data.path={tmp_path / 'own.npz'}", "data.val_size=10", "scheduler=constant")
    run = tmp_path / "run"
    train(configuration(*words, "trainer.max_epochs=1"), run)
    before = (run / directories.RESULT).read_bytes()
    record = read_run(run)
    assert record is not None and record.data_sha256 == json.loads(before)["data_sha256"]
    longer = configuration(*words, "trainer.max_epochs=2", f"resume={run}")
    np.savez(tmp_path / "own.npz", **{**arrays, "test_images": 255 - images})
    with pytest.raises(ConfigError, match=r"own\.npz: the data has changed since \S*run was begun"):
        train(longer, run)
    assert (run / directories.RESULT).read_bytes() == before
    np.savez(tmp_path / "own.npz", **arrays)
    assert train(longer, run).status == directories.COMPLETED


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_goes_on_with_its_own_configuration(tmp_path: Path) -> None:
    """In the library, and as a command, which composes the default configuration beside it."""
    config = configuration("seed=5")
    write_run(tmp_path, RunRecord(config=asdict(config)))
    with pytest.raises(ConfigError, match="seed: cannot change on resume; it was 5 at the start, got 0"):
        train(configuration(f"resume={tmp_path}"), tmp_path)
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "torch.py").write_text("raise SystemExit('torch was imported')")
    (answer,) = ask("train", [[f"resume={tmp_path}"]], modules=modules)
    assert "torch was imported" in answer.error
    record = read_run(tmp_path)
    assert record is not None and record.config == asdict(config)


@pytest.mark.engine
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, reference: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def kill_once_two_are_written() -> None:
        put = checkpoint_file.put

        def written(packed: memoryview, path: Path) -> None:
            put(packed, path)
            if (tmp_path / "checkpoints" / checkpoint_file.PREVIOUS).exists():
                os.kill(os.getpid(), signal.SIGKILL)

        checkpoint_file.put = written

    os.waitpid(train_in_child(configuration(), tmp_path, kill_once_two_are_written), 0)
    damage(tmp_path, checkpoint_file.LAST)
    train(replace(configuration(), resume=str(tmp_path)), tmp_path)
    assert "going back to the checkpoint before it" in caplog.text
    assert difference(tmp_path, reference) is None


def test_an_intact_last_checkpoint_is_used_whatever_became_of_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configuration("trainer.max_epochs=2", "trainer.limit_train_batches=4")
    train(config, tmp_path)
    damage(tmp_path, checkpoint_file.PREVIOUS)
    caplog.clear()
    last = tmp_path / "checkpoints" / checkpoint_file.LAST
    assert newest_checkpoint(config, tmp_path) == last and not caplog.text
    damage(tmp_path, checkpoint_file.LAST)
    assert newest_checkpoint(config, tmp_path) is None
    assert "last.ckpt" in caplog.text and "training begins anew" in caplog.text


def damage(run: Path, name: str) -> None:
    path = run / "checkpoints" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_two_runs_with_the_same_seed_are_identical_whatever_ran_before(tmp_path: Path, reference: Path) -> None:
    torch.rand(random.randrange(100))
    train(configuration(), tmp_path)
    assert difference(tmp_path, reference) is None


@pytest.mark.slow
def test_another_seed_is_another_run(tmp_path: Path, reference: Path) -> None:
    train(configuration("seed=1"), tmp_path)
    assert difference(tmp_path, reference) is not None


@pytest.mark.slow
def test_a_complete_run_is_not_tested_again(tmp_path: Path) -> None:
    train(configuration("trainer.max_epochs=1"), tmp_path)
    before = (tmp_path / directories.RESULT).stat().st_mtime_ns
    result = train(configuration("trainer.max_epochs=1", f"resume={tmp_path}"), tmp_path)
    assert (tmp_path / directories.RESULT).stat().st_mtime_ns == before
    assert result.metrics["test/acc"] is not None


@pytest.mark.engine
@pytest.mark.slow
def test_more_epochs_under_a_constant_rate_equal_a_long_run(tmp_path: Path) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    for directory in (short, long):
        directory.mkdir()
    train(configuration("scheduler=constant", "trainer.max_epochs=1"), short)
    train(configuration("scheduler=constant", "trainer.max_epochs=2", f"resume={short}"), short)
    train(configuration("scheduler=constant", "trainer.max_epochs=2"), long)
    assert difference(short, long) is None
    record = read_run(short)
    assert record is not None and record.config["trainer"]["max_epochs"] == 2  # when it is resumed once more


@pytest.mark.parametrize("limit", ["trainer.max_epochs=1", "trainer.max_steps=3"])
def test_a_run_cannot_become_shorter_than_it_is_and_keeps_its_result(tmp_path: Path, limit: str) -> None:
    words = ("scheduler=constant", "trainer.max_epochs=2", "trainer.limit_train_batches=4")
    train(configuration(*words), tmp_path)
    before = [(tmp_path / name).read_bytes() for name in (directories.RESULT, RUN)]
    with pytest.raises(ConfigError, match=r"^trainer: the run has made 8 optimizer steps already; expected .* [34] st"):
        train(configuration(*words, limit, f"resume={tmp_path}"), tmp_path)
    assert [(tmp_path / name).read_bytes() for name in (directories.RESULT, RUN)] == before


@pytest.mark.engine
@pytest.mark.parametrize(
    ("steps", "more"),
    [(24, ()), (31, ("trainer.val_check_interval=5",))],
    ids=["validated at the end of the epoch", "not validated any more in that epoch"],
)
def test_a_run_lengthened_from_the_middle_of_an_epoch_equals_a_long_run(
    tmp_path: Path, steps: int, more: tuple[str, ...]
) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    for directory in (short, long):
        directory.mkdir()
    words = ("scheduler=constant", "trainer.max_epochs=3", "trainer.limit_train_batches=16", *more)
    train(configuration(*words, f"trainer.max_steps={steps}"), short)
    histories = [
        [{**row, "seconds": None} for row in train(configuration(*words, *resuming), directory).history]
        for directory, resuming in ((short, [f"resume={short}"]), (long, []))
    ]
    assert histories[0] == histories[1]
    weights = [
        checkpoint_file.read(path / "checkpoints" / checkpoint_file.LAST)["state_dict"] for path in (short, long)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


@pytest.mark.engine
def test_the_table_of_a_run_that_goes_on_keeps_its_rows_but_the_last_that_was_written_by_half(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("scheduler=constant", "trainer.limit_train_batches=14", "logger=csv")
    for epochs in (1, 2):
        train(configuration(*words, f"trainer.max_epochs={epochs}", f"resume={tmp_path}"), tmp_path)
        if epochs == 1:
            with (tmp_path / "csv" / "metrics.csv").open("a") as file:
                file.write("0.5,1")
    assert "metrics.csv: left out incomplete rows" in caplog.text
    with (tmp_path / "csv" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["gradient_norm"]] == [7, 14, 21, 28]
    assert [int(row["step"]) for row in rows if row["val/acc"]] == [14, 28]


class Stopped(L.Callback):
    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 4:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.engine
def test_a_callback_of_lightning_goes_on_with_the_steps_of_the_run(tmp_path: Path) -> None:
    monitor = "+callbacks.own.lightning.LearningRateMonitor={logging_interval: step}"
    words = ("trainer.max_epochs=1", "trainer.limit_train_batches=6", "logger=csv", monitor)
    with pytest.raises(Interrupted):
        train(configuration(*words), tmp_path, callbacks=[Stopped()])
    train(configuration(*words, f"resume={tmp_path}"), tmp_path)
    with (tmp_path / "csv" / "metrics.csv").open(newline="") as file:
        logged = [int(row["step"]) for row in csv.DictReader(file) if row["lr-AdamW"]]
    assert logged == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("interval", "steps"), [(4, [3, 7]), (2, [1, 3, 5, 7])])
def test_plain_validations_after_a_resume_have_the_steps_of_one_long_run(
    tmp_path: Path, interval: int, steps: list[int]
) -> None:
    words = ("engine=plain", "trainer.max_epochs=2", "trainer.limit_train_batches=4", "logger=csv")
    words += (f"trainer.val_check_interval={interval}", "trainer.limit_val_batches=1")
    with pytest.raises(Interrupted):
        train(configuration(*words), tmp_path, callbacks=[Stopped()])
    train(configuration(*words, f"resume={tmp_path}"), tmp_path)
    with (tmp_path / "csv" / "metrics.csv").open(newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file) if row["val/loss"]] == steps


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("experiment=quick", "experiment: cannot be chosen on resume"),
        ("optimizer=sgd", "optimizer.name: cannot change on resume; it was adamw at the start, got sgd"),
        ("trainer.max_epochs=11", "trainer.max_epochs: cannot change under scheduler=one_cycle"),
        ("trainer=ddp", None),
        ("logger=[tensorboard,csv]", None),
    ],
)
def test_a_group_may_change_what_its_keys_may(tmp_path: Path, typed: str, said: str | None) -> None:
    (tmp_path / ".hydra").mkdir()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        OmegaConf.save(compose("train"), tmp_path / ".hydra" / "config.yaml")
        given = compose("train", [typed, f"resume={tmp_path}"])
    words = [typed, f"resume={tmp_path}"]
    if said is not None:
        with pytest.raises(ConfigError, match=said):
            recorded_configuration(tmp_path, given, words)
    else:
        assert recorded_configuration(tmp_path, given, words) == given


def test_another_strategy_leaves_the_length_of_a_run_as_it_was(tmp_path: Path) -> None:
    config = asdict(configuration("scheduler=constant", "trainer.max_epochs=2", "trainer.max_steps=30"))
    del config["trainer"]["limit_test_batches"]  # a key that an older version did not have
    write_run(tmp_path, RunRecord(config=config))
    words = ["trainer=ddp", f"resume={tmp_path}"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        given = compose("train", words)
        longer = compose("train", [*words, "trainer.max_epochs=3"])
    trainer = recorded_configuration(tmp_path, given, words).trainer
    assert (trainer.strategy, trainer.max_epochs, trainer.max_steps) == ("ddp", 2, 30)
    assert recorded_configuration(tmp_path, longer, [*words, "trainer.max_epochs=3"]).trainer.max_epochs == 3


def test_what_another_command_left_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("checkpoint: outputs/train/first\n")
    with pytest.raises(ConfigError, match="expected the directory of a run or of a sweep"):
        expand([f"resume={tmp_path}"])


@pytest.mark.parametrize("empty", ["", "''", '""'])
def test_an_empty_path_is_not_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    write_run(tmp_path, RunRecord(config=asdict(configuration())))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^resume: expected the directory of a run or of a sweep, got nothing$"):
        expand([f"resume={empty}"])


def test_a_changed_key_is_refused_by_name(tmp_path: Path) -> None:
    train(configuration("trainer.max_epochs=1"), tmp_path)
    (tmp_path / directories.RESULT).unlink()
    with pytest.raises(ConfigError, match=r"model\.dropout: cannot change .* it was 0\.2 at the start, got 0\.1"):
        train(configuration("trainer.max_epochs=1", "model.dropout=0.1", f"resume={tmp_path}"), tmp_path)


def test_a_callback_that_the_run_did_not_have_is_refused(tmp_path: Path) -> None:
    train(configuration("trainer.max_epochs=1"), tmp_path)
    (tmp_path / directories.RESULT).unlink()
    added = "+callbacks.own={lightning: {LearningRateFinder: {}}}"
    with pytest.raises(ConfigError, match=r"callbacks\.own: cannot change on resume; it was \{\} at the start"):
        train(configuration("trainer.max_epochs=1", added, f"resume={tmp_path}"), tmp_path)
