"""A search, on small networks: what its trials leave, what stops them, and what is left to go on with."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import lightning as L
import optuna
import pytest
from helpers import commands as started
from helpers.child_processes import in_child
from helpers.colour_set import colour_set, write_npz
from helpers.kill_and_resume import difference
from helpers.small_search import SMALL, outcomes, result, search_in, space, study_in
from omegaconf import OmegaConf
from optuna.trial import TrialState

from mnist_mlp.config.compose import composed, parse
from mnist_mlp.config.errors import ConfigError, SaveError, SearchError
from mnist_mlp.config.schema import PROJECT, Config
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.extras.tuning import search, trial_pruning
from mnist_mlp.extras.tuning.study import SharedStudy
from mnist_mlp.runs import directories
from mnist_mlp.training import train

WITHOUT_SEARCH = [word for word in SMALL if not word.startswith("tune.")]
TUNE = str(PROJECT / "src" / "tune.py")


def overrides(trial: Path) -> list[str]:
    """The words that started this trial, as Hydra notes those of a run."""
    return [str(word) for word in OmegaConf.load(trial / ".hydra" / "overrides.yaml")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A search of six trials that was left alone, and its report; a test would have been noticed."""
    directory = tmp_path_factory.mktemp("finished")
    logging.getLogger("mnist_mlp").setLevel(logging.INFO)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(L.Trainer, "test", lambda *_, **__: pytest.fail("a search must not touch the test set"))
        return directory, search_in(directory)


@pytest.mark.slow
def test_trials_are_ordinary_runs_without_a_test(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    trials = directories.jobs(directory)
    assert [run.directory.name for run in trials] == list("012345")
    for run in trials:
        assert run.status in (directories.COMPLETED, directories.INTERRUPTED)
        assert run.result["metrics"]["val/acc"] > 0.1
        assert run.result["metrics"]["test/acc"] is None
        assert "optimizer.lr=" in " ".join(overrides(run.directory))
        assert {path.name for path in run.directory.iterdir()} >= {".hydra", "checkpoints", "train.log", "result.json"}
        assert "epoch   1/3" in (run.directory / "train.log").read_text()
        Predictor.load(run.directory / "checkpoints" / "best.ckpt")


@pytest.mark.slow
def test_a_trial_is_the_run_that_train_makes_of_the_same_words(finished: tuple[Path, str], tmp_path: Path) -> None:
    directory, _ = finished
    trial = next(run.directory for run in directories.jobs(directory) if run.status == directories.COMPLETED)
    with space() as (_, searched):
        config = parse(searched.composed(overrides(trial)), Config)
    train(config, tmp_path, test=False)
    assert difference(trial, tmp_path) is None


@pytest.mark.slow
def test_a_trial_that_was_ended_early_says_so_and_can_go_on(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    pruned = [number for number, state, *_ in outcomes(directory) if state == TrialState.PRUNED]
    assert pruned
    for number in pruned:
        found = result(directory / str(number))
        assert found["status"] == "interrupted"
        assert found["error"] == f"pruned after epoch {found['epochs']} of 3"
        assert (directory / str(number) / "checkpoints" / "last.ckpt").exists()


@pytest.mark.slow
def test_the_study_knows_what_the_runs_say_of_themselves(finished: tuple[Path, str]) -> None:
    directory, _ = finished
    for number, state, value, _, reported in outcomes(directory):
        found = result(directory / str(number))
        accuracies = [row["val/acc"] for row in found["history"]]
        assert list(reported.values()) == accuracies
        if state == TrialState.COMPLETE:
            assert value == max(accuracies) == found["metrics"]["val/acc"]


@pytest.mark.slow
def test_the_report_names_the_best_and_leaves_pictures_and_an_experiment(finished: tuple[Path, str]) -> None:
    directory, told = finished
    best = max((o for o in outcomes(directory) if o[1] == TrialState.COMPLETE), key=lambda outcome: outcome[2])
    assert f"{best[2]:.2%} on validation, trial {best[0]}" in told
    for name in ("history.png", "slices.png"):
        assert (directory / name).read_bytes().startswith(b"\x89PNG")
    assert f"{best[2]:.2%}" in (directory / "experiment" / "best.yaml").read_text()
    found, before = (
        composed(f"hydra.searchpath=['file://{directory}']", f"experiment={name}") for name in ("best", "start")
    )
    assert found.optimizer.lr == pytest.approx(best[3]["optimizer.lr"], rel=1e-5)
    assert (found.model.hidden, found.trainer.max_epochs) == ([16], 3)
    with space(*SMALL) as (config, searched):  # how it is logged is not a part of what was found
        assert replace(before, logger=config.logger) == parse(searched.composed(WITHOUT_SEARCH), Config)


@pytest.mark.slow
def test_the_command_that_compares_the_best_with_the_start_runs(finished: tuple[Path, str], tmp_path: Path) -> None:
    _, told = finished
    line = next(line for line in told.replace("\\\n", " ").splitlines() if " -m experiment=" in " ".join(line.split()))
    words = shlex.split(line.replace("seed=1,2,3", "seed=1 trainer.max_epochs=1"))
    sweep = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    done = started.run(*words[1:], sweep, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    assert [run.status for run in directories.jobs(tmp_path / "sweep")] == [directories.COMPLETED] * 2


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a search cheaply")
def test_a_search_that_was_killed_goes_on_to_what_it_would_have_found(
    finished: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_report", lambda *_: "")
    study = tmp_path / "study"
    for waited_for in ("0/checkpoints/last.ckpt", "2/checkpoints/best.ckpt"):
        child = in_child(lambda: print(search_in(study)))
        while not (study / waited_for).exists():
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    before = {
        run.directory: (run.directory / directories.RESULT).stat().st_mtime_ns
        for run in directories.jobs(study)
        if run.result
    }
    assert before
    search_in(study)
    assert outcomes(study) == outcomes(finished[0])
    assert {path: (path / directories.RESULT).stat().st_mtime_ns for path in before} == before


IN_STACK = ("tune.stack=6", "model.activation=relu", "tune.startup=4")


def killed_at(call: tuple[object, str], number: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Replaces a function by one that does its work, and at the call of this number kills its process."""
    owner, name = call
    work, calls = getattr(owner, name), count(1)

    def killing(*arguments: Any, **options: Any) -> Any:
        done = work(*arguments, **options)
        if next(calls) == number:
            time.sleep(0.2)  # for the thread that writes checkpoints
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return lambda patch: patch.setattr(owner, name, killing)


@pytest.fixture(scope="module")
def in_stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """A search in a stack of six that was left alone, and its words."""
    directory, words = tmp_path_factory.mktemp(request.param), (*IN_STACK, f"tune.pruner={request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_report", lambda *_: "")  # whose pictures take longer than the trials
        search_in(directory, *words)
    return directory, words


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a search cheaply")
@pytest.mark.parametrize(
    ("in_stack", "kill"),
    [
        pytest.param("median", killed_at((optuna.Trial, "report"), 3), id="first checkpoints half saved"),
        pytest.param("halving", killed_at((optuna.Trial, "report"), 8), id="an epoch reported and not saved"),
        pytest.param("halving", killed_at((trial_pruning, "Pruned"), 1), id="a trial judged and not ended"),
    ],
    indirect=["in_stack"],
)
def test_a_stack_of_trials_that_was_killed_goes_on_to_what_it_would_have_found(
    in_stack: tuple[Path, tuple[str, ...]],
    kill: Callable[[pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left_alone, words = in_stack
    monkeypatch.setattr(search, "_report", lambda *_: "")
    with pytest.MonkeyPatch.context() as patch:
        kill(patch)
        child = in_child(lambda: print(search_in(tmp_path, *words)))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    search_in(tmp_path, *words)
    assert outcomes(tmp_path, *words) == outcomes(left_alone, *words)
    lengths = [[run.result["epochs"] for run in directories.jobs(directory)] for directory in (tmp_path, left_alone)]
    assert lengths[0] == lengths[1]


@pytest.mark.slow
@pytest.mark.parametrize("in_stack", ["halving"], indirect=True)
def test_trials_in_a_stack_are_those_of_single_runs(in_stack: tuple[Path, tuple[str, ...]], tmp_path: Path) -> None:
    directory, words = in_stack
    states = {number: state for number, state, *_ in outcomes(directory, *words)}
    assert set(states.values()) == {TrialState.COMPLETE, TrialState.PRUNED}  # who is pruned leaves the others alone
    one = next(number for number, state in states.items() if state == TrialState.COMPLETE)
    with space() as (_, searched):
        config = parse(searched.composed(overrides(directory / str(one))), Config)
    train(config, tmp_path, test=False)
    assert difference(directory / str(one), tmp_path) is None


@pytest.mark.slow
def test_the_study_is_told_only_of_epochs_that_were_validated(tmp_path: Path) -> None:
    words = ("trainer.check_val_every_n_epoch=2", "tune.trials=2")
    search_in(tmp_path, *words)
    with study_in(tmp_path, *words) as study:
        assert [list(trial.intermediate_values) for trial in study.study.trials] == [[2], [2]]


def test_a_trial_that_diverges_does_not_end_the_search_and_is_thinned_as_any_other(tmp_path: Path) -> None:
    words = ("optimizer=sgd", "++tune.space={optimizer.lr:'choice(1e30)'}", "tune.trials=2", "sweep.keep=results")
    told = search_in(tmp_path, *words)
    assert "2 ended early" in told
    assert "result.json of 2 trials (sweep.keep=results)" in told
    assert [result(tmp_path / number)["status"] for number in "01"] == ["failed", "failed"]
    assert {path.name for number in "01" for path in (tmp_path / number).iterdir()} == {"result.json", ".lock"}


def test_a_trial_that_failed_is_not_counted_among_those_of_which_files_were_kept(tmp_path: Path) -> None:
    words = ("++tune.space={optimizer.name:'choice(sgd)'}", "tune.trials=1", "sweep.keep=results")
    with space(*SMALL, *words) as (config, searched):
        study = SharedStudy(tmp_path, config, searched)
        study.fail(*study.claim(), "invalid")
        assert "result.json of 0 trials" in search._report(study, config)


def test_a_search_whose_trials_all_fail_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SaveError("No space left on device")

    monkeypatch.setattr(search, "train_stack", full)
    with pytest.raises(SearchError, match="every trial failed"):
        search_in(tmp_path, "tune.trials=2")


def test_a_search_does_not_go_on_with_other_images(tmp_path: Path) -> None:
    images, arrays = tmp_path / "own.npz", colour_set()
    words = ("data=npz", f"data.path={images}", "data.val_size=10", "trainer.max_epochs=1", "augment=none")
    write_npz(images, arrays)
    search_in(tmp_path / "study", *words, "tune.trials=1")
    write_npz(images, arrays, test_images=255 - arrays["test_images"])
    with pytest.raises(ConfigError, match=r"own\.npz: expected the data that the network was trained on"):
        search_in(tmp_path / "study", *words, "tune.trials=2")
    assert len(outcomes(tmp_path / "study", *words)) == 1


@pytest.mark.slow
def test_the_same_command_again_only_reports(finished: tuple[Path, str]) -> None:
    directory, told = finished
    before = outcomes(directory)
    assert search_in(directory) == told
    assert outcomes(directory) == before


@pytest.mark.slow
def test_ctrl_c_reports_what_was_found_and_leaves_the_trial_to_go_on_with(tmp_path: Path) -> None:
    words = [*SMALL, "trainer.max_epochs=12", "tune.pruner=none", "tune.trials=2", f"hydra.run.dir={tmp_path}"]
    process = started.Command(TUNE, *words)
    while not (tmp_path / "1" / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate()
    assert (process.returncode, error) == (130, "tune.py: stopped by Ctrl-C\n")
    assert "1 completed, 1 not finished; 2 wanted" in out
    assert result(tmp_path / "1")["status"] == "interrupted"
    assert "trial 0" in out
