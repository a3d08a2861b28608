"""Which loggers a run has, and what a person is told whose package is missing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest

from mnist_mlp import errors
from mnist_mlp.config import PROJECT, Config
from mnist_mlp.configuration import composed, from_dict
from mnist_mlp.errors import MissingPackageError
from mnist_mlp.training import build_loggers


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["tensorboard"]),
        (["logger=csv"], ["csv"]),
        (["logger=[tensorboard,csv]"], ["tensorboard", "csv"]),
        (["logger.csv=true"], ["tensorboard", "csv"]),
        (["logger=none"], []),
    ],
)
def test_loggers_are_chosen_by_name_one_or_several(words: list[str], names: list[str], tmp_path: Path) -> None:
    config = composed(*words)
    assert [name for name, chosen in asdict(config.logger).items() if chosen] == names
    assert len(build_loggers(config, tmp_path, None)) == len(names)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda package: None)
    with pytest.raises(MissingPackageError, match=f"-m pip install {name}$"):
        composed(f"logger=[csv,{name}]")
    monkeypatch.setattr(errors, "find_spec", lambda package: package)
    config = composed(f"logger=[csv,{name}]")
    monkeypatch.undo()
    assert from_dict(asdict(config), Config) == config  # a checkpoint needs no logger


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed here")
def test_a_missing_package_stops_the_command_before_work(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "src" / "train.py"), "logger=wandb", f"hydra.run.dir={tmp_path / 'run'}"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    assert answer.stderr.endswith("-m pip install wandb\n")
    assert not list(tmp_path.iterdir())
