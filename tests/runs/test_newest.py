"""The run that is taken where none is named: found from what it wrote, wherever it lies below outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from helpers.fake_run import ran

from mnist_mlp.config.errors import CheckpointError, ConfigError
from mnist_mlp.runs import chosen_checkpoint, record
from mnist_mlp.runs.command_line import command
from mnist_mlp.runs.directories import jobs, runs_below
from mnist_mlp.runs.newest import STUDY, newest_or_best, remarks

COMMAND = record.Command(config_name="train", config_dirs=[], task=["seed=0,1"], hydra=[])


def trained(directory: Path, accuracy: float, second: int, *overrides: str, **other: object) -> Path:
    """A run with a checkpoint whose result was written at that second."""
    ran(directory, *overrides, accuracy=accuracy, **other)
    (directory / "checkpoints").mkdir()
    (directory / "checkpoints" / "best.ckpt").touch()
    os.utime(directory / "result.json", (second, second))
    return directory


def sweep(directory: Path, *names: str) -> None:
    directory.mkdir(parents=True)
    listed = [record.JobRecord(number=number, directory=name, overrides=[]) for number, name in enumerate(names)]
    record.write_sweep(directory, record.SweepRecord(command=COMMAND, config={}, jobs=listed))


def test_the_newest_run_is_taken_however_its_folder_is_named(tmp_path: Path) -> None:
    trained(tmp_path / "train" / "first", 0.99, second=1)
    newer = trained(tmp_path / "mine" / "of today", 0.9, second=2)
    trained(tmp_path / "failed", 0.99, second=3, status="failed")
    chosen = newest_or_best(tmp_path)
    assert chosen is not None and chosen.directory == newer
    assert chosen_checkpoint.newest(tmp_path) == newer / "checkpoints" / "best.ckpt"


def test_a_run_with_a_last_checkpoint_alone_is_taken_and_newer_ones_without_any_are_named(tmp_path: Path) -> None:
    trained(tmp_path / "older", 0.99, second=1)
    unvalidated = trained(tmp_path / "unvalidated", 0.9, second=2, metrics={"val/acc": None, "test/acc": 0.9})
    last = (unvalidated / "checkpoints" / "best.ckpt").rename(unvalidated / "checkpoints" / "last.ckpt")
    for second, name in enumerate(("thinned 1", "thinned 2"), start=3):
        (trained(tmp_path / name, 0.9, second) / "checkpoints" / "best.ckpt").unlink()
    assert chosen_checkpoint.newest(tmp_path) == last
    assert remarks(last, tmp_path) == [
        "the newest completed run",
        f"newer, but without a checkpoint: {tmp_path / 'thinned 2'} and 1 more",
        "its last checkpoint: there is no best one",
        "test 90.00%",
    ]


def test_where_no_run_has_completed_a_command_says_what_makes_one(tmp_path: Path) -> None:
    trained(tmp_path / "failed", 0.99, second=3, status="failed")
    with pytest.raises(
        CheckpointError,
        match=r"^checkpoint: none given and no completed run with a checkpoint below .*train\.py makes one$",
    ):
        chosen_checkpoint.newest(tmp_path)


def test_of_the_newest_sweep_the_best_on_validation_is_taken(tmp_path: Path) -> None:
    trained(tmp_path / "train" / "first", 0.99, second=1)
    sweep(tmp_path / "sweep", "lr=1/a", "lr=2/b", "never")
    best = trained(tmp_path / "sweep" / "lr=1" / "a", 0.95, second=2)
    trained(tmp_path / "sweep" / "lr=2" / "b", 0.90, second=3)
    chosen = newest_or_best(tmp_path)
    assert chosen is not None and chosen.directory == best
    words = remarks(best / "checkpoints" / "best.ckpt", tmp_path)
    assert words == ["the best of the newest sweep, sweep", "validation 95.00%", "test 95.00%"]
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / STUDY).touch()
    trial = trained(tmp_path / "search" / "0", 0.95, second=4)
    assert remarks(trial / "checkpoints" / "best.ckpt", tmp_path)[0] == "the best of the newest search, search"


@pytest.mark.parametrize(
    ("words", "metric", "better", "worse", "told"),
    [
        (("metrics=[f1]", "checkpoint.monitor=val/f1"), "val/f1", 0.95, 0.90, "val/f1 95.00%"),
        (("checkpoint.monitor=val/loss", "checkpoint.mode=min"), "val/loss", 0.2, 0.3, "val/loss 0.2000"),
    ],
)
def test_the_best_of_a_sweep_is_so_by_the_metric_that_its_runs_monitored(
    tmp_path: Path, words: tuple[str, ...], metric: str, better: float, worse: float, told: str
) -> None:
    sweep(tmp_path / "sweep", "a", "b", "c")
    for second, (name, value) in enumerate({"a": worse, "b": better, "c": worse}.items()):
        metrics = {"val/loss": 0.5, metric: value}
        trained(tmp_path / "sweep" / name, 0.5, second, *words, metrics=metrics)
    chosen = newest_or_best(tmp_path)
    assert chosen is not None and chosen.directory.name == "b"
    assert told in remarks(chosen.directory / "checkpoints" / "best.ckpt", tmp_path)


def test_a_run_whose_result_has_a_part_of_another_kind_is_passed_over(tmp_path: Path) -> None:
    older = trained(tmp_path / "older", 0.9, 1)
    trained(tmp_path / "newer", 0.9, 2, config={"checkpoint": 3})
    chosen = newest_or_best(tmp_path)
    assert chosen is not None and chosen.directory == older


def test_a_run_that_promises_less_says_so(tmp_path: Path) -> None:
    metrics = {"val/acc": 0.9, "test/acc": None}
    run = trained(tmp_path / "run", 0.9, 1, "trainer.limit_train_batches=1", metrics=metrics)
    words = remarks(run / "checkpoints" / "best.ckpt", tmp_path)
    assert words[2:] == ["not tested", "a quick try: trained on a part of the images"]


def test_a_job_that_never_began_is_one_of_its_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "sweep", "b", "a")
    ran(tmp_path / "sweep" / "a", accuracy=0.9)
    assert [(job.directory.name, job.status) for job in jobs(tmp_path / "sweep")] == [
        ("b", "no result"),
        ("a", "completed"),
    ]


def test_links_are_followed_and_nothing_is_found_twice(tmp_path: Path) -> None:
    run = ran(tmp_path / "elsewhere" / "run", accuracy=0.9)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "link").symlink_to(run)
    (tmp_path / "outputs" / "again").symlink_to(tmp_path / "outputs")
    assert [found.directory.name for found in runs_below(tmp_path / "outputs")] == ["link"]


def test_what_a_later_version_wrote_is_refused_in_one_line(tmp_path: Path) -> None:
    record.write_run(tmp_path, record.RunRecord(config={"seed": 0}))
    content = json.loads((tmp_path / record.RUN).read_text())
    (tmp_path / record.RUN).write_text(json.dumps(content | {"format": record.FORMAT + 1}))
    with pytest.raises(ConfigError, match=r"written by a later version \(format 2, known up to 1\)"):
        record.read_run(tmp_path)


@pytest.mark.parametrize("name", ["plain", "my runs", "it's", 'a "b"', "(x)", "a=b,c", "[1]", "grö$e", "back\\slash"])
def test_a_printed_command_works_when_it_is_pasted(tmp_path: Path, name: str) -> None:
    """Through a real shell, and through Hydra's grammar."""
    import shlex

    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = shlex.split(command("evaluate.py", checkpoint=tmp_path / name))
    assert words[:2] == ["python", "src/evaluate.py"]
    assert OverridesParser.create().parse_override(words[2]).value() == str(tmp_path / name)


@pytest.mark.parametrize("name", ["7", "1e3", "null", "True", "run,", "run", "2026-11-24_19"])
def test_a_printed_name_is_read_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import shlex

    from hydra.core.override_parser.overrides_parser import OverridesParser

    monkeypatch.chdir(tmp_path)
    words = shlex.split(command("evaluate.py", checkpoint=tmp_path / name))
    value = OverridesParser.create().parse_override(words[2]).value()
    assert not isinstance(value, int | float | bool | None)
    assert str(value) == name
