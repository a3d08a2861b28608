"""Callbacks of a user: built by name, and refused by what is wrong with them."""

from __future__ import annotations

import csv
import logging
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from helpers.kill_and_resume import configuration

import mnist_mlp.callbacks
from mnist_mlp.callbacks import build_callbacks
from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import PROJECT, CallbacksConfig
from mnist_mlp.runs import directories
from mnist_mlp.training import train

MODULE = """
import lightning as L

class Noted(L.Callback):
    def __init__(self, every: int) -> None:
        if every < 0:
            raise TypeError("every is negative")
        self.every = every

class Logged(L.Callback):
    def __init__(self, name: str) -> None:
        self.name = name

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.log(self.name, 10.0 + trainer.current_epoch)

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("val/seen", 20.0 + trainer.current_epoch)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_callback_of_a_test.py").write_text(MODULE)
    (tmp_path / "own_callback_that_needs_more.py").write_text("import no_such_package_of_a_test\n")
    monkeypatch.setattr(mnist_mlp.callbacks, "__path__", [*mnist_mlp.callbacks.__path__, str(tmp_path)])


def section(file: str, name: str, **arguments: int) -> CallbacksConfig:
    return own({file: {name: arguments}})


def own(callbacks: dict[str, Any]) -> CallbacksConfig:
    return CallbacksConfig(early_stopping=composed().callbacks.early_stopping, own=callbacks)


def test_a_callback_of_ones_own_gets_its_arguments() -> None:
    [built] = build_callbacks(section("own_callback_of_a_test", "Noted", every=3))
    assert isinstance(built, L.Callback)
    assert built.every == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("callbacks", "complaint"),
    [
        ({"no_file": {"Noted": {}}}, r"own\.no_file\.Noted: .*, found no Noted in mnist_mlp/callbacks/no_file\.py"),
        ({"own_callback_of_a_test": {"Other": {}}}, "found no Other in mnist_mlp/callbacks/own_callback_of_a_test.py"),
        ({"own_callback_of_a_test": {"L": {}}}, "found no L in"),
        ({"own_callback_of_a_test": {"Noted": 3}}, r"Noted: expected {argument: value}, got 3"),
        ({"own_callback_of_a_test": None}, r"own: expected {file: {Class: {argument: value}}}"),
        ({"own_callback_of_a_test.Noted": {"every": 3}}, r"own: expected {file: {Class: {argument: value}}}"),
        ({"lightning": {"Trainer": {}}}, r"found no Trainer in lightning\.pytorch\.callbacks"),
        ({"lightning": {"pl": {}}}, r"found no pl in lightning\.pytorch\.callbacks"),
    ],
)
def test_a_callback_that_is_not_there_is_refused(callbacks: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        build_callbacks(own(callbacks))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ["fast", pytest.param("plain", marks=pytest.mark.slow)])
def test_a_callback_of_lightning_is_named_and_set_as_ones_own(engine: str, tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "yours.md").read_text()
    [override] = re.findall(r"^python src/train\.py '(\+callbacks\.own\.lightning.*)'$", page, re.MULTILINE)
    reached = ("callbacks.own.lightning.EarlyStopping.stopping_threshold=0.01", "trainer.max_epochs=3")
    history = train(configuration(f"engine={engine}", override, *reached), tmp_path).history
    assert len(history) == 1


def test_two_of_which_a_checkpoint_could_hold_one_are_refused() -> None:
    given = own({"lightning": {"EarlyStopping": {"monitor": "val/loss"}, "LambdaCallback": None}})
    given.early_stopping.patience = 5
    with pytest.raises(ConfigError, match=r"callbacks: expected callbacks that differ, got two of EarlyStopping\{"):
        build_callbacks(given)
    given.early_stopping.monitor = "val/acc"
    assert len(build_callbacks(given)) == 3


def test_arguments_that_it_does_not_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="does not take these arguments: got an unexpected keyword argument 'often'"):
        build_callbacks(section("own_callback_of_a_test", "Noted", every=1, often=2))
    with pytest.raises(ConfigError, match="EarlyStopping: does not take these arguments: `mode` can be min, max"):
        build_callbacks(section("lightning", "EarlyStopping", monitor="val/acc", mode="maxx"))
    with pytest.raises(ConfigError, match="Timer: does not take these arguments: 'int' object has no attribute"):
        build_callbacks(section("lightning", "Timer", duration=5))
    if find_spec("rich") is None:
        with pytest.raises(ConfigError, match=r"RichProgressBar: .* requires `rich`"):
            build_callbacks(section("lightning", "RichProgressBar"))


def test_a_wrong_callback_is_refused_before_the_data_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_mlp.training.build_datamodule", None)
    with pytest.raises(ConfigError, match="found no NoSuch in lightning"):
        train(configuration("+callbacks.own={lightning:{NoSuch:{}}}"), tmp_path)


def test_a_run_whose_callback_fails_in_its_constructor_says_so_in_its_result(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="every is negative"):
        train(configuration("+callbacks.own={own_callback_of_a_test:{Noted:{every:-1}}}"), tmp_path)
    failed = directories.read(tmp_path)
    assert (failed.status, failed.result["error"]) == (directories.FAILED, "TypeError: every is negative")


def test_an_error_inside_the_users_own_file_is_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package_of_a_test"):
        build_callbacks(section("own_callback_that_needs_more", "Noted"))
    with pytest.raises(TypeError, match="every is negative"):
        build_callbacks(section("own_callback_of_a_test", "Noted", every=-1))


@pytest.mark.parametrize("engine", ["fast", pytest.param("plain", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["train/own", "own", "weights/own"])
def test_what_a_callback_logs_at_the_end_of_an_epoch_is_in_the_row_of_that_epoch(
    engine: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    logged = f"+callbacks.own={{own_callback_of_a_test:{{Logged:{{name:{name}}}}}}}"
    config = configuration(f"engine={engine}", logged, "logger=csv", "data.batch_size=200", "trainer.max_epochs=2")
    history = train(config, tmp_path).history
    assert [row[name] for row in history] == [10.0, 11.0]
    assert [row["val/seen"] for row in history] == [20.0, 21.0]
    assert f"{name.removeprefix('train/')} 11.0000" in caplog.text
    [file] = tmp_path.rglob("metrics.csv")
    with file.open() as lines:
        written = [float(row[name]) for row in csv.DictReader(lines) if row[name]]
    assert list(dict.fromkeys(written)) == [10.0, 11.0]  # Lightning's own loop logs it as well
