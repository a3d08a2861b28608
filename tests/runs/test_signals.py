"""A signal ends a run in any of its phases with a result that says so, and with nothing lost that was saved."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from helpers import commands as started
from helpers.kill_and_resume import OVERRIDES, configuration, difference, run_to_the_end, train_in_child

from mnist_mlp import training
from mnist_mlp.config.errors import Interrupted
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.data import datamodule
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.runs.signals import interruptible, signals_deferred
from mnist_mlp.training import train
from mnist_mlp.training.run import TrainingRun

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to end a training process cheaply")

WORDS = ("trainer.max_epochs=1", "trainer.num_sanity_val_steps=1")
# The function at which the signal comes, and whether anything was saved by then.
PHASES: dict[str, tuple[Any, str, bool]] = {
    "loading": (datamodule, "load", False),
    "building": (training, "open_run", False),
    "trying the validation out": (DigitClassifier, "validation_step", False),
    "calibrating": (TrainingRun, "calibrate", True),
    "testing": (DigitClassifier, "test_step", True),
    "telling the loggers": (training.run, "log_final", True),
}


def signal_at(place: Any, name: str, number: int) -> Callable[[], None]:
    """Makes this process receive the signal whenever it calls the function: always in that phase."""

    def prepare() -> None:
        function = getattr(place, name)

        def interrupted(*arguments: Any, **named: Any) -> Any:
            signal.raise_signal(number)
            return function(*arguments, **named)

        setattr(place, name, interrupted)

    return prepare


def result(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / directories.RESULT).read_text())
    return content


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("reference")
    run_to_the_end(configuration(*WORDS), directory)
    return directory


@needs_fork
@pytest.mark.parametrize(
    ("phase", "number"),
    [
        pytest.param(phase, number, marks=[] if phase in ("building", "calibrating") else pytest.mark.slow)
        for phase, number in zip(PHASES, 3 * [signal.SIGINT, signal.SIGTERM], strict=True)
    ],
)
def test_a_signal_in_any_phase_is_told_and_loses_nothing(
    tmp_path: Path, reference: Path, phase: str, number: int
) -> None:
    place, name, saved = PHASES[phase]
    os.waitpid(train_in_child(configuration(*WORDS), tmp_path, signal_at(place, name, number)), 0)
    left = result(tmp_path)
    assert (left["status"], left["error"]) == ("interrupted", f"stopped by signal {int(number)}")
    assert left["epochs"] == saved
    assert (tmp_path / directories.CHECKPOINTS / checkpoint_file.LAST).exists() == saved
    run_to_the_end(replace(configuration(*WORDS), resume=str(tmp_path)), tmp_path)
    assert difference(tmp_path, reference) is None


# What sends the signal, by what the command is doing.
SENDING = {
    "importing": """
        class Finder:
            def find_spec(self, name, *_):
                if name == "mnist_mlp.training":
                    signal.raise_signal(NUMBER)
        sys.meta_path.insert(0, Finder())
    """,
    "reading the data": """
        from mnist_mlp.data import synthetic
        synthetic.draw = lambda number, seed: signal.raise_signal(NUMBER)
    """,
}


def train_with_signal(folder: Path, number: int, while_: str, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command."""
    script = folder / "train.py"
    run = f"runpy.run_path({str(PROJECT / 'src' / 'train.py')!r}, run_name='__main__')\n"
    sending = dedent(SENDING[while_]).replace("NUMBER", str(int(number)))
    script.write_text(f"import runpy, signal, sys\n{sending}{run}")
    command = started.Command(script, *OVERRIDES, *words, PYTHONPATH=str(PROJECT / "src"))
    out, error = command.communicate()
    return command.returncode, out, error


@pytest.mark.slow
@pytest.mark.parametrize("while_", SENDING)
@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_signal_while_the_command_loads_is_told_with_the_command_that_resumes(
    tmp_path: Path, number: int, code: int, name: str, while_: str
) -> None:
    run = tmp_path / "run"
    ended, _, error = train_with_signal(tmp_path, number, while_, f"hydra.run.dir={run}")
    first, go_on = error.splitlines()
    assert (ended, first) == (code, f"Stopped by {name}, before the first checkpoint. Continue with:")
    assert go_on.endswith(f"train.py resume={run}")
    assert (result(run)["status"], result(run)["error"]) == ("interrupted", f"stopped by signal {number:d}")


@pytest.mark.slow
def test_a_signal_while_a_sweep_loads_is_told_with_the_command_that_finishes_it(tmp_path: Path) -> None:
    words = ("-m", "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    code, out, error = train_with_signal(tmp_path, signal.SIGTERM, "importing", *words)
    assert (code, error) == (143, "train.py: stopped by SIGTERM\n")
    assert "2 of 2 jobs did not complete. Finish them with:" in out
    assert result(tmp_path / "sweep" / "0")["status"] == "interrupted"


def test_a_run_that_is_stopped_before_it_goes_on_keeps_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(TrainingRun, "calibrate", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
        train(configuration(*WORDS), tmp_path)
    before = result(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(datamodule, "load", lambda *_: signal.raise_signal(signal.SIGTERM))
        train(replace(configuration(*WORDS), resume=str(tmp_path)), tmp_path)
    after = result(tmp_path)
    assert before["history"]
    for name in ("history", "metrics", "epochs", "best_epoch", "parameters"):
        assert after[name] == before[name]


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize(("place", "phase"), [(datamodule, "load"), (TrainingRun, "calibrate")])
def test_a_signal_to_a_stack_stands_in_the_result_of_every_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, phase: str
) -> None:
    from mnist_mlp.engine.job import Job
    from mnist_mlp.engine.train_stack import train_stack

    monkeypatch.setattr(place, phase, lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    jobs = [
        Job(number=seed, config=configuration(*WORDS, f"seed={seed}"), directory=tmp_path / str(seed))
        for seed in (0, 1)
    ]
    for job in jobs:
        job.directory.mkdir()
    with pytest.raises(Interrupted):
        train_stack(jobs)
    assert [result(job.directory)["status"] for job in jobs] == ["interrupted", "interrupted"]


def test_a_signal_inside_of_a_write_acts_after_it() -> None:
    done = []
    with pytest.raises(Interrupted), interruptible():
        with signals_deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append("written")
        done.append("more")
    assert done == ["written"]


def test_signals_have_their_former_meaning_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
