"""`resume=` on the command line: what it stands for, and what is refused beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs.record import Command, RunRecord, SweepRecord, write_run, write_sweep
from mnist_mlp.runs.resume import expand

BEGUN = Command(config_name="train", config_dirs=["/mine"], task=["optimizer.lr=0.1"], hydra=["hydra/launcher=stacked"])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    place = tmp_path / "run"
    (place / "checkpoints").mkdir(parents=True)
    write_run(place, RunRecord(command=BEGUN, config={}))
    return place


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    place = tmp_path / "sweep"
    place.mkdir()
    write_sweep(place, SweepRecord(command=BEGUN, config={}, jobs=[]))
    return place


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_run_goes_on_in_its_directory_which_may_stand_in_quotes(run: Path, quote: str) -> None:
    words = expand(["trainer.max_epochs=9", f"resume={quote}{run}{quote}"])
    assert words == ["trainer.max_epochs=9", f"resume='{run}'", f"hydra.run.dir='{run}'", "hydra.output_subdir=null"]


def test_a_sweep_goes_on_with_the_words_that_began_it(sweep: Path) -> None:
    words = expand(["-m", f"resume={sweep}"])
    began = ["--config-name", "train", "--config-dir", "/mine", "hydra/launcher=stacked", "optimizer.lr=0.1"]
    assert words[0] == "-m" and words[1:7] == began and words[-1] == f"hydra.sweep.dir='{sweep}'"


def test_a_sweep_of_an_older_version_has_its_words_in_hydras_own_record(tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").write_text(
        "hydra: {job: {config_name: train}, runtime: {config_sources: "
        "[{provider: hydra, path: x}, {provider: main, path: /mine}, {provider: command-line, path: /more}]}, "
        "overrides: {task: [seed=1, resume=null], hydra: [hydra.sweep.dir=x, hydra.output_subdir=null]}}"
    )
    words = expand([f"resume={tmp_path}"])
    folders = ["--config-dir", "/more", "--config-path", "/mine"]
    assert words[1:9] == ["--config-name", "train", *folders, "hydra.output_subdir=null", "seed=1"]


@pytest.mark.parametrize(
    ("beside", "complaint"),
    [
        ("-m", "a run resumes alone, without -m"),
        ("--config-name=mine", "a run resumes with its own configuration, without --config-name=mine"),
        ("hydra.run.dir=x", "hydra.run.dir: a run resumes in its own directory; leave hydra.run.dir=x out"),
        ("hydra.output_subdir=x", "a run resumes in its own directory; leave hydra.output_subdir=x out"),
    ],
)
def test_what_makes_no_sense_beside_a_resumed_run_is_refused(run: Path, beside: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        expand([beside, f"resume={run}"])
    assert complaint in str(refused.value)


def test_a_sweep_takes_no_changes_and_what_is_neither_run_nor_sweep_is_refused(run: Path, sweep: Path) -> None:
    for words, complaint in [
        (["optimizer.lr=1", f"resume={sweep}"], "a sweep resumes with its own settings, without optimizer.lr=1"),
        (["resume="], "expected the directory of a run or of a sweep, got nothing"),
        ([f"resume={run.parent}"], f"expected the directory of a run or of a sweep, got {run.parent}"),
        ([f"resume={run / 'checkpoints'}"], f"did you mean python src/train.py resume={run}?"),
    ]:
        with pytest.raises(ConfigError) as refused:
            expand(words)
        assert complaint in str(refused.value)
