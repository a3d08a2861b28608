"""A command loads what it uses, and what it does not load is there all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from mnist_mlp.cli import startup
from mnist_mlp.cli.startup import HIDDEN
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.distributed.world import python_path


def run_in_a_new_process(program: str) -> None:
    """`loaded()` are the packages there that a command does not ask for."""
    beginning = f"import sys; loaded = lambda: {set(HIDDEN)!r}.intersection(sys.modules); "
    words = [sys.executable, "-W", "error", "-c", beginning + program]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": python_path()}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


METRICS = (
    "import torch, mnist_mlp.module, torchmetrics.classification as metrics; "
    "accuracy = metrics.MulticlassAccuracy(3, average='micro'); "
    "assert accuracy(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2])) == 0.75"
)


@pytest.mark.slow
def test_a_command_that_trains_loads_no_package_for_metrics_that_it_does_not_use_yet_all_are_there():
    """What was not loaded can be imported, counts as installed, and the metrics are torchmetrics' own."""
    run_in_a_new_process(
        "from mnist_mlp.cli.startup import speed_up_imports; speed_up_imports(); import mnist_mlp.training; "
        f"assert not loaded(), loaded(); {METRICS}; import torchvision, scipy.signal, matplotlib.pyplot; "
        "from lightning_utilities.core.imports import RequirementCache, package_available; "
        "assert all(map(package_available, ('scipy', 'torchvision', 'matplotlib'))); "
        "assert RequirementCache('torchvision') and not RequirementCache('torchvision<0.1'); "
        f"assert loaded() == {set(HIDDEN)!r}"
    )


@pytest.mark.slow
def test_importing_the_package_changes_nothing_and_leaves_the_metrics_all_that_they_load():
    """Nothing slow is loaded until it is asked for, and what others imported before is torchmetrics' own."""
    run_in_a_new_process(
        "import sys; before = list(sys.meta_path); import mnist_mlp; assert sys.meta_path == before; "
        "from mnist_mlp import Config, composed; assert isinstance(composed('seed=3'), Config); "
        "assert sys.meta_path == before and 'torch' not in sys.modules; "
        f"import torchmetrics; assert loaded() == {set(HIDDEN)!r}, 'torchmetrics has become lean by itself'; "
        f"{METRICS}; from mnist_mlp import DigitClassifier, DigitsDataModule, train; "
        "assert DigitClassifier.__module__ == 'mnist_mlp.module'; "
        "assert not any('mnist_mlp' in type(finder).__module__ for finder in sys.meta_path)"
    )


def test_to_ask_where_torch_is_does_not_use_up_its_quick_import(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(startup, "SLOW", {"wave"})
    finder = startup.FastImportFinder()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    for _ in range(2):
        found = find_spec("wave")
        assert found is not None and found.origin.endswith("wave.py") and type(found.loader).__name__ == "_FastLoader"


def test_a_command_started_as_a_module_says_how_it_is_started():
    for options in (["-m"], ["-B", "-m"]):
        words = [sys.executable, *options, "src.train", "seed=1"]
        answer = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True)
        assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
        assert "expected python src/train.py, got python -m src.train" in answer.stderr


def test_another_program_may_import_the_folder_of_the_commands():
    words = [sys.executable, "-c", "import sys; sys.orig_argv = ['python', '-m', 'pydoc', 'src.train']; import src"]
    assert subprocess.run(words, cwd=PROJECT).returncode == 0
