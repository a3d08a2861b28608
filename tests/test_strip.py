"""A copy without the extras trains, sweeps, goes on, and passes the core's tests: there is nothing to mend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
COMMANDS = ("evaluate", "predict", "compare", "tune", "export", "demo")
CORE_TESTS = ("tests/config/test_configs.py", "tests/data/test_datamodule.py", "tests/engine/test_stacked_mlp.py")
QUICK = ("data=synthetic", "data.val_size=500", "trainer.max_epochs=1", "trainer.limit_train_batches=20", "threads=1")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("core")
    for part in ("src", "configs", "tests", "docs"):
        shutil.copytree(PROJECT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, copy / name)
    for folder in ("src/mnist_mlp/extras", "src/hydra_plugins", "tests/extras"):
        shutil.rmtree(copy / folder)
    for command in COMMANDS:
        (copy / "src" / f"{command}.py").unlink()
    return copy


def run(copy: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_copy_without_the_extras_trains_sweeps_and_goes_on(copy: Path) -> None:
    printed = run(copy, "src/train.py", *QUICK, f"hydra.run.dir={copy / 'one'}")
    assert "test accuracy" in printed
    assert "evaluate.py" not in printed
    run(copy, "src/train.py", f"resume={copy / 'one'}")
    run(copy, "src/train.py", "-m", *QUICK, "seed=0,1", f"hydra.sweep.dir={copy / 'sweep'}")
    results = [json.loads((copy / "sweep" / str(number) / "result.json").read_text()) for number in range(2)]
    assert [result["status"] for result in results] == ["completed", "completed"]


@pytest.mark.slow
def test_a_copy_without_the_extras_passes_the_cores_tests(copy: Path) -> None:
    assert " passed" in run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CORE_TESTS)
