"""What a person types: help, wrong input, signals, sweeps, and what each leaves and says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import commands as started
from helpers.command_lines import Answer, ask

from mnist_mlp.config.schema import PROJECT

TRAIN = str(PROJECT / "src" / "train.py")
TINY = ("experiment=tiny", "trainer.max_epochs=1", "threads=1")

# What was typed, and words that the one line of answer has to hold. What `composed` refuses in the same words stands in
# tests/config/test_messages.py, which needs no process for each; here is one of each kind.
WRONG = {
    "optimizr.lr=1e-3": "unknown key optimizr; did you mean optimizer?",
    "data=cifar": "expected one of fashion_mnist, folder, mnist, npz, synthetic",
    "data.name=minst": "data.name: expected one of mnist, fashion_mnist, synthetic, folder, npz, got 'minst'",
    "model=null": "group",
    "~model": "model.name: expected one of",
    "model.hidden=[128,64": "cannot read the override",
    "optimizer.lr=0": "optimizer.lr: expected a number above 0",
    "seed=a": "seed: expected int, got 'a'",
    "seed=0,1": "seed=0,1: expected one value, got several; add -m for a sweep over them",
    "data.val_size=60000": "data.val_size: expected at most 59990",
    "data.mean=grey": "data.mean: expected a number, a list of one for each channel, or null, got 'grey'",
    "data=folder": "data.path: expected the place of the images, as data=folder data.path=..., got null",
    "data=folder data.path=/nowhere": "data.path: expected a folder with train/<class>/ and test/<class>/ in it",
    "-m data=npz data.path=/nowhere.npz": "data.path: there is no file /nowhere.npz",
    "data.path=/nowhere": "data.path: expected null beside data=mnist, got /nowhere",
    "trainer.overfit_batches=1 trainer.limit_val_batches=0.5": "expected 0 or at least one of the 1 batches, got 0.5",
    "trainer.max_epochs=0": "max_epochs, max_steps and limit_train_batches leave no step to train",
    "trainer.val_check_interval=1000": "trainer.val_check_interval: expected at most the 430 batches of an epoch",
    "data=synthetic -m trainer.max_epochs=1,0": "leave no step to train",
    "-cn evaluate": "-cn evaluate: expected another configuration, this is one of evaluate.py",
    "-cn nosuch": "nosuch: expected the name of a YAML file in configs/",
    "-m optimizer.lr=interval(1e-4,1e-2)": "tune.py searches an interval",
    "resume=/nowhere": "expected the directory of a run or of a sweep, got /nowhere",
    "++resume=/nowhere": "expected the directory of a run or of a sweep, got /nowhere",
    "resume=": "resume: expected the directory of a run or of a sweep, got nothing",
    "=x": "cannot read an override: expected key=value",
    "--batch-size=3": "unrecognized arguments: --batch-size=3; keys stand without dashes: data.batch_size=3",
    "-cn data/mnist": "a file for --config-name must begin with `defaults: [train, _self_]`",
    "~hydra.callbacks.check": "the configuration has no hydra.callbacks.check, so it cannot be checked",
    "-m hydra.sweeper.params.seed=0": "type -m seed=<values>, or +hydra.sweeper.params.seed=<values>",
    "-m hydra.sweeper.params.seed=0,1": "a sweep over several values is -m seed=0,1",
    "+hydra.sweeper.params.seed=0": "+hydra.sweeper.params.seed=0: expected -m beside it",
    "--tset": "unrecognized arguments: --tset; --help lists what there is",
    "--cfg": "argument --cfg/-c: ",
    "-m seed=0,1 optimizr.lr=1": "did you mean optimizer?",
    "-m optimizer.lr=1e-3,-1": "optimizer.lr: expected a number above 0, got -1",
    "-m model.activation=relu,sigmoidd": "did you mean sigmoid?",
    "-m seed=0,1 hydra.sweep.subdir=${hydra.job.num} optimizr.lr=1": "unknown key optimizr; did you mean optimizer?",
    "--config-dir={own} experiment=itself": "a YAML file contains itself",
    "--config-dir={own} experiment=knot": "a YAML file contains itself",
    "--config-dir={own} experiment=hydra_null": "a YAML file cannot be composed, most likely a section of it",
    "--config-dir={own} experiment=trainer_null": "trainer: expected a section with keys of its own",
    "--config-dir={own} experiment=number": "unknown key 3",
    "--config-dir={own} experiment=tiny": "experiment=tiny: the project has this name already; expected another one",
    "-m --config-dir={own} experiment=tiny,number": "experiment=tiny: the project has this name already",
    "--config-dir={own} experiment=[quick,tiny]": "experiment=tiny: the project has this name already",
}
FILES = {  # in the folder {own}
    "itself": "defaults:\n  - itself\n",
    "knot": "model: &knot\n  hidden: *knot\n",
    "hydra_null": "hydra: null\n",
    "trainer_null": "trainer: null\n",
    "number": "3: 4\n",
    "tiny": "seed: 1\n",
}


def train(*words: str) -> Answer:
    done = started.run(TRAIN, *words)
    return Answer(done.returncode, done.stdout, done.stderr)


def train_from_a_shell(*words: str, cwd: Path | None = None, modules: Path | None = None) -> Answer:
    """`modules` is a folder whose modules are imported instead of the installed ones."""
    environment = {**os.environ, **({"PYTHONPATH": str(modules)} if modules else {})}
    command = [sys.executable, TRAIN, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=250)
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Modules among which torch, whose import takes seconds, ends the command."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "torch.py").write_text("raise SystemExit('torch was imported')")
    return folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, without_torch: Path) -> dict[str, Answer]:
    place, own = tmp_path_factory.mktemp("wrong"), tmp_path_factory.mktemp("own")
    (own / "experiment").mkdir()
    for name, text in FILES.items():
        (own / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    directories = f"hydra.run.dir={place / 'it'} hydra.sweep.dir={place / 'it'}"
    lines = [f"{typed} {directories}".replace("{own}", str(own)) for typed in WRONG]
    found = dict(zip(WRONG, ask("train", lines, modules=without_torch), strict=True))
    assert list(place.iterdir()) == []  # nothing wrong leaves a directory behind
    return found


@pytest.mark.slow
@pytest.mark.parametrize("typed", WRONG)
def test_wrong_input_gets_one_clear_line_before_torch_is_imported(answers: dict[str, Answer], typed: str) -> None:
    answer = answers[typed]
    assert WRONG[typed] in answer.error
    assert answer.error.startswith("train.py: ")
    assert answer.error.count("\n") == 1
    assert (answer.code, answer.out) == (2, "")


@pytest.mark.slow
def test_an_accelerator_that_is_not_there_is_refused() -> None:
    answer = train("trainer.accelerator=mps" if sys.platform != "darwin" else "trainer.accelerator=cuda")
    assert answer.code == 2
    assert "use trainer.accelerator=auto" in answer.error


@pytest.mark.slow
def test_a_refusal_behind_the_first_checks_leaves_no_directory_either(tmp_path: Path) -> None:
    answer = train(*TINY, "+callbacks.own={nosuch: {Mine: {}}}", f"hydra.run.dir={tmp_path / 'run'}")
    assert (answer.code, answer.error.count("\n")) == (2, 1)
    assert answer.error.startswith("train.py: callbacks.own.nosuch.Mine: expected a Lightning callback")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.extras
@pytest.mark.parametrize("name", ["evaluate", "export", "demo"])
@pytest.mark.parametrize("sign", ["", "+"])
def test_a_command_that_does_not_train_knows_no_resume(tmp_path: Path, name: str, sign: str) -> None:
    words = [f"{sign}resume={tmp_path}", f"hydra.run.dir={tmp_path / 'out'}"]
    answer = started.run(PROJECT / "src" / f"{name}.py", *words)
    assert (answer.returncode, answer.stderr) == (2, f"{name}.py: unknown key resume\n")


@pytest.mark.parametrize("words", [("--help",), ("seed=1", "--cfg", "job")])
def test_help_and_configuration_are_shown_without_importing_torch(words: tuple[str, ...], without_torch: Path) -> None:
    answer = train_from_a_shell(*words, modules=without_torch)
    assert (answer.code, answer.error) == (0, "")
    assert "label_smoothing" in answer.out


def test_what_begins_is_printed_before_torch_is_imported(without_torch: Path, tmp_path: Path) -> None:
    words = ("data=synthetic", "trainer.accelerator=cpu", "seed=3", f"hydra.run.dir={tmp_path / 'it'}")
    answer = train_from_a_shell(*words, modules=without_torch)
    assert answer.error == "torch was imported\n"
    assert answer.out.splitlines() == [
        "network          mlp 784-128-64-10, 109,386 parameters",
        "data             synthetic: 5,500 training, 500 validation, 1,000 test images",
        "training         10 epochs on the CPU, seed 3",
        f"run directory    {tmp_path / 'it'}",
    ]


def test_a_run_directory_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    answer = train(*TINY, f"hydra.run.dir={tmp_path}")
    assert answer.code == 2
    assert f"already holds a run; to resume it: python src/train.py resume={tmp_path}" in answer.error


def test_a_place_that_cannot_hold_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = train(*TINY, f"hydra.run.dir={tmp_path / 'file' / 'run'}")
    assert answer.code == 2
    assert "hydra.run.dir: expected a place" in answer.error


@pytest.mark.slow
def test_a_directory_without_a_name_is_not_the_current_one(tmp_path: Path) -> None:
    for words, key in ((("hydra.run.dir=",), "hydra.run.dir"), (("-m", "hydra.sweep.dir="), "hydra.sweep.dir")):
        answer = train_from_a_shell(*TINY, *words, cwd=tmp_path)
        assert (answer.code, f"{key}: expected a directory, got nothing" in answer.error) == (2, True)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_from_another_directory_says_what_came_out_and_where_it_lies(tmp_path: Path) -> None:
    answer = train_from_a_shell(*TINY, f"hydra.run.dir={tmp_path / 'my runs' / 'first'}", cwd=tmp_path)
    assert (answer.code, answer.error) == (0, "")
    assert "test accuracy" in answer.out
    assert "my runs/first" in answer.out
    run = tmp_path / "my runs" / "first"
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "completed"
    assert {path.name for path in run.iterdir()} >= {".hydra", "checkpoints", "tensorboard", "train.log", "result.json"}


@pytest.mark.slow
def test_a_failing_job_does_not_stop_or_taint_the_others_and_resuming_trains_only_what_is_missing(
    tmp_path: Path,
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert train(*TINY, "optimizer=sgd", "optimizer.lr=0.1", f"hydra.run.dir={alone}").code == 0
    answer = train("-m", *TINY, "optimizer=sgd", "optimizer.lr=0.05,1e30,0.1", f"hydra.sweep.dir={together}")
    assert answer.code == 1
    results = [json.loads((together / job / "result.json").read_text()) for job in "012"]
    assert [result["status"] for result in results] == ["completed", "failed", "completed"]
    assert "Try a smaller optimizer.lr" in results[1]["error"]
    one = json.loads((alone / "result.json").read_text())
    assert results[2]["metrics"] == one["metrics"]

    (together / "2" / "result.json").unlink()
    before = (together / "0" / "result.json").stat().st_mtime_ns
    answer = train(f"resume={together}")
    assert answer.code == 1  # job 1 fails again
    assert (together / "0" / "result.json").stat().st_mtime_ns == before
    assert json.loads((together / "2" / "result.json").read_text())["metrics"] == one["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_command_with_its_code_and_a_saved_run(tmp_path: Path, number: int, code: int) -> None:
    run = tmp_path / "run"
    words = ("experiment=tiny", "trainer.max_epochs=5000", "threads=1", f"hydra.run.dir={run}")
    process = started.Command(TRAIN, *words)
    while not (run / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate()
    assert process.returncode == code
    first, go_on = error.splitlines()
    by = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    assert first == f"Stopped by {by}, everything is saved. Continue with:"
    assert go_on == f"python src/train.py resume={run}"
    assert json.loads((run / "result.json").read_text())["status"] == "interrupted"
