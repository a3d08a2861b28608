"""What a person types to tune.py, and what it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command_lines import ask
from hydra.core.override_parser.overrides_parser import OverridesParser

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.extras.tuning.command import searched_on_the_command_line

TUNE = str(PROJECT / "src" / "tune.py")

WRONG = {
    "optimizer.lr=interval(-1,1)": "optimizer.lr: expected a number above 0, got -1",
    "model.activation=relu,sigmoidd": "did you mean sigmoid?",
    "modle.hidden=[8],[16]": "did you mean model",
    "optimizer.lr=tag(lag,interval(1,2))": "tune.space: optimizer.lr: expected no tag but log",
    "optimizer.momentum=interval(0,0.9)": "not a key of the chosen optimizer; optimizer=sgd has it",
    "tune.trials=0": "tune.trials: expected a number at least 1, got 0",
    "tune.pruner=mean": "tune.pruner: expected one of median, halving, none",
    "trainer.max_epoch=3": "did you mean trainer.max_epochs?",
    "tune.trial=3": "did you mean tune.trials?",
    "resume=outputs/tune/default/0": "a search continues by the name of its study, as in tune.py tune.study=<name>",
    "-m seed=0,1": "leave -m out",
}


def tune(*words: str, prelude: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{prelude}\nimport runpy, sys; sys.argv[0] = {TUNE!r}; runpy.run_path({TUNE!r}, run_name='__main__')"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.slow
def test_wrong_input_gets_one_clear_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    answers = ask("tune", [f"{typed} hydra.run.dir={tmp_path / 'study'}" for typed in WRONG])
    for told, answer in zip(WRONG.values(), answers, strict=True):
        assert told in answer.error
        assert answer.error.startswith("tune.py: ")
        assert answer.error.count("\n") == 1
        assert (answer.code, answer.out) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    answer = tune(f"hydra.run.dir={tmp_path / 'study'}", prelude="import sys; sys.modules['optuna'] = None")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "-m pip install optuna" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_shows_the_keys_of_the_search_and_of_training() -> None:
    answer = tune("--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "tune.trials" in answer.stdout
    assert "model.label_smoothing" in answer.stdout


@pytest.mark.parametrize("key", ["tune.startup", "hydra.job.name", "logger", "trainer.profiler"])
def test_a_key_that_changes_no_result_is_not_searched(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: expected one value, as it changes no result"):
        searched_on_the_command_line([f"{key}=1,2"])


@pytest.mark.parametrize(
    ("typed", "kept", "searched"),
    [
        (["seed=1", "model.hidden=[8,4]"], ["seed=1", "model.hidden=[8,4]"], {}),
        (["--cfg", "job", "--config-dir", "a"], ["--cfg", "job", "--config-dir", "a"], {}),
        (["optimizer=sgd,adamw", "seed=1"], ["seed=1"], {"optimizer": "sgd,adamw"}),
        (["model.hidden=[8],[4,2]"], [], {"model.hidden": "[8],[4,2]"}),
        (["a.b=tag(log,interval(1e-3,1))", "c=range(3)"], [], {"a.b": "tag(log,interval(1e-3,1))", "c": "range(3)"}),
        (["++optimizer.lr=1e-3,1e-2"], [], {"optimizer.lr": "1e-3,1e-2"}),
        (["+a.new=1,2"], [], {"+a.new": "1,2"}),
        (["""a=choice("x y",'z"')"""], [], {"a": """choice("x y",'z"')"""}),
    ],
)
def test_a_key_given_as_a_sweep_becomes_part_of_the_space(
    typed: list[str], kept: list[str], searched: dict[str, str]
) -> None:
    words = searched_on_the_command_line(typed)
    assert words[: len(kept)] == kept
    if searched:
        override = OverridesParser.create().parse_override(words[-1])
        assert (override.key_or_group, override.value()) == ("tune.space", searched)
    else:
        assert words == kept
