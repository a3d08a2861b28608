"""Callbacks of a user: built by name, and refused by what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest

import mnist_mlp.callbacks
from mnist_mlp.callbacks import build_callbacks
from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import CallbacksConfig

MODULE = """
import lightning as L

class Noted(L.Callback):
    def __init__(self, every: int) -> None:
        if every < 0:
            raise TypeError("every is negative")
        self.every = every
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_callback_of_a_test.py").write_text(MODULE)
    (tmp_path / "own_callback_that_needs_more.py").write_text("import no_such_package_of_a_test\n")
    monkeypatch.setattr(mnist_mlp.callbacks, "__path__", [*mnist_mlp.callbacks.__path__, str(tmp_path)])


def section(name: str, **arguments: int) -> CallbacksConfig:
    return CallbacksConfig(early_stopping=composed().callbacks.early_stopping, own={name: arguments})


def test_a_callback_of_ones_own_gets_its_arguments() -> None:
    [built] = build_callbacks(section("own_callback_of_a_test.Noted", every=3))
    assert isinstance(built, L.Callback)
    assert built.every == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["no_file.Noted", "own_callback_of_a_test.Other", "own_callback_of_a_test", "a b.C"])
def test_a_callback_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"expected file\.Class with a Lightning callback"):
        build_callbacks(section(name))


def test_arguments_that_it_does_not_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="does not take these arguments: got an unexpected keyword argument 'often'"):
        build_callbacks(section("own_callback_of_a_test.Noted", every=1, often=2))


def test_an_error_inside_the_users_own_file_is_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package_of_a_test"):
        build_callbacks(section("own_callback_that_needs_more.Noted"))
    with pytest.raises(TypeError, match="every is negative"):
        build_callbacks(section("own_callback_of_a_test.Noted", every=-1))
