"""A command loads what it uses, and what it does not load is there all the same."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mnist_mlp.cli.startup import UNASKED
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.distributed.world import python_path


def loaded_after(statement: str) -> set[str]:
    """Which of the packages a new process has loaded then."""
    told = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"{statement}; import sys; print(*{UNASKED!r}.intersection(sys.modules))",
        ],
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(told.stdout.split())


HASTENED = "from mnist_mlp.cli.startup import hasten_imports; hasten_imports()"


def test_a_command_that_trains_loads_no_package_for_metrics_that_it_does_not_use():
    assert loaded_after(f"{HASTENED}; import mnist_mlp.training") == set()
    assert loaded_after("import torchmetrics") == set(UNASKED), "torchmetrics has become lean by itself"


def test_what_was_not_loaded_can_be_imported_and_counts_as_installed():
    statement = (
        f"{HASTENED}; import mnist_mlp.training, torchvision, scipy.signal, matplotlib.pyplot; "
        "from lightning_utilities.core.imports import RequirementCache, package_available; "
        "assert all(map(package_available, ('scipy', 'torchvision', 'matplotlib'))); "
        "assert RequirementCache('torchvision') and not RequirementCache('torchvision<0.1')"
    )
    assert loaded_after(statement) == set(UNASKED)


def test_importing_the_package_changes_nothing_and_loads_nothing_slow():
    loaded_after(
        "import sys; before = list(sys.meta_path); import mnist_mlp; assert sys.meta_path == before; "
        "from mnist_mlp import Config, composed; assert isinstance(composed('seed=3'), Config); "
        "assert sys.meta_path == before and 'torch' not in sys.modules; "
        "from mnist_mlp import DigitClassifier, DigitsDataModule, train; "
        "assert DigitClassifier.__module__ == 'mnist_mlp.module'; "
        "assert not any('mnist_mlp' in type(finder).__module__ for finder in sys.meta_path)"
    )


@pytest.mark.parametrize("first", ["import torchmetrics", HASTENED])
def test_whichever_is_imported_first_the_metrics_are_torchmetrics_own(first):
    loaded_after(
        f"{first}; import torch, mnist_mlp.module, torchmetrics.classification as metrics; "
        "accuracy = metrics.MulticlassAccuracy(3, average='micro'); "
        "assert accuracy(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2])) == 0.75"
    )


def test_a_command_started_as_a_module_says_how_it_is_started():
    words = [sys.executable, "-m", "src.train", "seed=1"]
    answer = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "expected python src/train.py" in answer.stderr
