"""docs/yours.md: a copy without extras and engine passes the core's tests; with every change it trains and sweeps.

With a name of its own it still finds its optional parts.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import commands as started

from mnist_mlp.runs import checkpoint_file

pytestmark = pytest.mark.extras  # a copy cannot be made smaller twice

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "docs" / "yours.md").read_text()
MOST_FILES = {"A network": 3, "A data set": 3, "A DataLoader": 3, "A training step": 1} | dict.fromkeys(
    ("A loss with a parameter", "An optimizer", "A learning rate schedule", "A metric", "A callback"), 2
)
CHANGED = (
    "data=stripes",
    "model=residual",
    "model.loss=focal",
    "optimizer=adam",
    "optimizer.name=nadam",
    "optimizer.lr=0.001",
    "scheduler=constant",
    "metrics=[acc,recall]",
    "checkpoint.monitor=val/recall",
    "callbacks=weight_norm",
    "augment=none",
    "logger.csv=true",
    "threads=1",
)
CORE_TESTS = ("tests/config/test_configs.py", "tests/data/test_datamodule.py")


def copied(to: Path) -> Path:
    for part in ("src", "configs", "tests", "docs"):
        shutil.copytree(PROJECT / part, to / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, to / name)
    return to


def commands_of(section: str) -> str:
    found = re.search(rf"^## {section}\n(?:(?!^## ).)*?^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def patches(text: str) -> dict[str, str]:
    return dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```diff\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def apply(patch: str, to: Path, *options: str) -> None:
    done = subprocess.run(["git", "apply", *options, "-"], cwd=to, input=patch, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\n{patch}"


def train(copy: Path, *words: str) -> str:
    done = started.run("src/train.py", *words, cwd=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def result(directory: Path) -> dict:
    return json.loads((directory / "result.json").read_text())


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy after the commands of the section on the core alone."""
    copy = copied(tmp_path_factory.mktemp("core"))
    subprocess.run(commands_of("The core alone"), shell=True, cwd=copy, check=True)
    return copy


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory, core: Path) -> Path:
    """The core without the engine."""
    copy = tmp_path_factory.mktemp("smallest") / "project"
    shutil.copytree(core, copy, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(commands_of("Lightning's own loop alone"), shell=True, cwd=copy, check=True)
    return copy


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, core: Path) -> Path:
    """The core with every change of the page."""
    copy = tmp_path_factory.mktemp("changed") / "project"
    shutil.copytree(core, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for patch in patches(TEXT).values():
        apply(patch, copy, "-C1")
    return copy


@pytest.mark.engine
def test_the_hooks_of_a_module_that_the_page_lists_are_those_that_the_engine_calls() -> None:
    from mnist_mlp.engine.hooks import FORWARDED

    section = TEXT.partition("## A training step\n")[2].partition("```diff")[0]
    assert set(re.findall(r"`(on_\w+)`", section)) == FORWARDED


@pytest.mark.slow
def test_each_change_applies_by_itself_and_touches_few_files(tmp_path: Path) -> None:
    copy = copied(tmp_path / "copy")
    for name, patch in patches(TEXT).items():
        apply(patch, copy, "--check")
        assert len(re.findall(r"^\+\+\+ ", patch, re.MULTILINE)) <= MOST_FILES[name], name
    assert patches(TEXT).keys() == MOST_FILES.keys()


@pytest.mark.slow
def test_a_copy_without_the_extras_and_with_every_change_trains_and_resumes(changed: Path) -> None:
    assert "+model.focal_gamma=2.0" in train(changed, "--help", "model")
    train(changed, *CHANGED, "trainer.max_epochs=1", "hydra.run.dir=run")
    printed = train(changed, "resume=run", "trainer.max_epochs=2")
    assert "evaluate.py" not in printed
    found = result(changed / "run")
    assert (found["status"], found["epochs"]) == ("completed", 2)
    assert found["metrics"]["test/recall"] > 0.9
    assert found["config"]["data"]["mean"] is None  # not that of MNIST
    with (changed / "run" / "csv" / "metrics.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [sum(bool(row[name]) for row in rows) for name in ("train/weight_norm", "train/l1")] == [2, 2]


STOPPED_AND_FAILED = """
from pathlib import Path
from lightning import Callback
from mnist_mlp import composed, train

class Fails(Callback):
    def on_validation_batch_end(self, *_):
        raise RuntimeError("in a validation")

words = ("data=discs", "engine=plain", "augment=none", "threads=1", "trainer.max_epochs=2", "scheduler=constant")
words += ("trainer.limit_test_batches=0",)
train(composed(*words), Path("whole"))
train(composed(*words, "trainer.max_steps=10"), Path("parts"))  # of 7 in each epoch
train(composed(*words, "resume=parts"), Path("parts"))
train(composed(*words), Path("failed"), callbacks=[Fails()])
"""


@pytest.mark.slow
def test_a_run_with_a_dataloader_resumes_within_an_epoch_to_the_same_weights_and_one_that_fails_ends(
    changed: Path,
) -> None:
    # In a new interpreter: that of `started` may not start the workers of the DataLoader.
    command = [sys.executable, "-W", "error", "-c", STOPPED_AND_FAILED]
    environment = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(command, cwd=changed, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "RuntimeError: in a validation")
    assert result(changed / "whole")["metrics"]["val/acc"] > 0.9
    last = [checkpoint_file.read(changed / name / "checkpoints" / checkpoint_file.LAST) for name in ("whole", "parts")]
    whole, parts = (content["state_dict"] for content in last)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.slow
def test_a_data_module_of_its_own_is_refused_by_the_engine_in_one_line(changed: Path) -> None:
    done = started.run("src/train.py", "data=discs", "hydra.run.dir=refused", cwd=changed)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "engine: expected plain beside data=discs" in done.stderr
    swept = started.run("src/train.py", "-m", "data=discs", "seed=0,1", "hydra.sweep.dir=refused", cwd=changed)
    assert (swept.returncode, swept.stdout) == (2, "")
    assert not (changed / "refused").exists()


@pytest.mark.slow
def test_a_copy_with_every_change_sweeps_over_them(changed: Path) -> None:
    swept = ("scheduler.name=constant,steps", "+model.focal_gamma=0,2")
    swept += ("callbacks.own.weight_norm.WeightNorm.order=1,2",)
    train(changed, "-m", *CHANGED, *swept, "trainer.max_epochs=1", "hydra.sweep.dir=sweep")
    found = [result(changed / "sweep" / str(number)) for number in range(8)]
    assert [one["status"] for one in found] == ["completed"] * 8
    assert len({one["metrics"]["test/loss"] for one in found}) == 4  # the norm changes nothing else
    assert len({one["history"][-1]["train/weight_norm"] for one in found}) == 8


def passed(copy: Path, *tests: str) -> str:
    script = Path(pytest.__file__).with_name("__main__.py")
    # What pytest would rewrite, the process that it is forked from has imported.
    done = started.run(script, "-q", "--assert=plain", "-p", "no:cacheprovider", *tests, cwd=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_copy_without_the_extras_passes_the_cores_tests(core: Path) -> None:
    assert " passed" in passed(core, *CORE_TESTS, "tests/engine/test_stacked_mlp.py")


@pytest.mark.slow
def test_a_copy_with_every_change_passes_the_tests_of_what_it_changed(changed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": "src"}
    subprocess.run([sys.executable, "-m", "mnist_mlp.config.json_schema"], cwd=changed, env=environment, check=True)
    tests = ("tests/test_choices.py", "tests/config/test_configs.py", "tests/config/test_json_schema.py")
    assert " passed" in passed(changed, "-m", "not slow", *tests, "tests/engine/test_stacked_mlp.py")


@pytest.mark.slow
def test_a_copy_without_the_engine_trains_resumes_sweeps_and_passes_the_cores_tests(smallest: Path) -> None:
    words = ("experiment=tiny", "threads=1")
    train(smallest, *words, "trainer.max_epochs=1", "scheduler=constant", "hydra.run.dir=run")
    train(smallest, "resume=run", "trainer.max_epochs=2")
    assert (result(smallest / "run")["status"], result(smallest / "run")["epochs"]) == ("completed", 2)
    train(smallest, "-m", *words, "seed=0,1", "hydra.sweep.dir=sweep")
    assert all(result(smallest / "sweep" / seed)["metrics"]["test/acc"] > 0.8 for seed in "01")
    assert " passed" in passed(smallest, *CORE_TESTS)


@pytest.mark.slow
def test_a_copy_with_a_name_of_its_own_trains_and_finds_its_optional_parts(tmp_path: Path) -> None:
    copy = copied(tmp_path / "copy")
    commands = f"git init -q && git add .\n{commands_of('Your own name')}"
    subprocess.run(["bash", "-e", "-c", commands], cwd=copy, check=True)
    left = subprocess.run(["git", "grep", "-Iil", "mnist[_-]mlp"], cwd=copy, capture_output=True, text=True)
    assert (left.returncode, left.stdout) == (1, "")
    train(copy, "experiment=tiny", "trainer.max_epochs=1", "hydra.run.dir=run", "threads=1")
    checkpoint = torch.load(copy / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert "calibration" in checkpoint
    [events] = (copy / "run").rglob("events.out.tfevents.*")
    assert b"network/gradient_norm" in events.read_bytes()  # the dashboard drew it
    for patch in patches((copy / "docs" / "yours.md").read_text()).values():
        apply(patch, copy, "--check")
    again = f"git add . && {commands_of('Your own name').replace('NAME=my_digits', 'NAME=own_digits')}"
    subprocess.run(["bash", "-e", "-c", again], cwd=copy, check=True)
    left = subprocess.run(["git", "grep", "-Iil", "my[_-]digits", "src"], cwd=copy, capture_output=True, text=True)
    assert (left.returncode, left.stdout) == (1, "")
