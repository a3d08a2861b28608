"""The summary of a run: what it reached, by which metric, and commands that have something to show."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.colour_set import colour_set, write_npz
from helpers.fake_run import ran

from mnist_mlp.cli.summary import summary
from mnist_mlp.config import schema
from mnist_mlp.data import sources
from mnist_mlp.runs import directories
from mnist_mlp.runs.directories import read
from mnist_mlp.runs.metric_text import metric_text
from mnist_mlp.runs.result import Result

BY_LOSS = ("checkpoint.monitor=val/loss", "checkpoint.mode=min")


def test_a_metric_is_printed_in_the_format_that_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(schema.METRIC_KINDS, "matthews", (".3f", "max"))
    assert [metric_text(f"val/{name}", 0.42134) for name in ("acc", "f1", "loss", "matthews", "of_an_older_tree")] == [
        *("42.13%", "42.13%", "0.4213", "0.421", "0.4213")
    ]


@pytest.mark.parametrize(("words", "decided"), [((), "validation: 98.00%"), (BY_LOSS, "val/loss: 0.5000")])
def test_the_best_epoch_is_shown_with_the_metric_that_decided(
    tmp_path: Path, words: tuple[str, ...], decided: str
) -> None:
    text = summary(Result.of(read(ran(tmp_path / "run", *words, accuracy=0.98))))
    assert f"best epoch       3 of 3, by {decided}\n" in text


def test_a_run_without_accuracy_shows_what_it_monitored_on_the_test_set(tmp_path: Path) -> None:
    metrics = {"val/f1": 0.91, "val/loss": 0.5, "test/acc": None, "test/f1": 0.9}
    words = ("metrics=[f1]", "checkpoint.monitor=val/f1")
    for keep, told in (("all", "test/f1          90.00% on the test set\n"), ("results", "   test/f1 90.00%")):
        run = ran(tmp_path / keep, *words, f"sweep.keep={keep}", accuracy=None, metrics=metrics)
        assert told in summary(Result.of(read(run)))


def test_only_what_a_run_left_is_offered(tmp_path: Path) -> None:
    directory = ran(tmp_path / "run", accuracy=0.98)
    assert "next:" not in summary(Result.of(read(directory)))
    (directory / "tensorboard").mkdir()
    words = summary(Result.of(read(directory))).replace("\\\n", "").split()  # a long path is in a line of its own
    assert words[-4:] == ["next:", "tensorboard", "--logdir", str(directory)]


def test_commands_are_offered_for_what_they_do_not_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = write_npz(tmp_path / "colours.npz", colour_set())
    grey = write_npz(tmp_path / "grey.npz", colour_set(shape=(1, 28, 28)))
    monkeypatch.setitem(sources.SOURCES, "loaders", sources.Source(sources.SOURCES["mnist"].describe))
    for number, (words, offered) in enumerate(
        [
            (["model=mlp"], ["evaluate.py", "demo.py"]),
            (["model=cnn"], ["evaluate.py"]),
            (["data=npz", f"data.path={grey}", "data.val_size=10"], ["evaluate.py", "demo.py"]),
            (["data=npz", f"data.path={colours}", "data.val_size=10"], ["evaluate.py"]),
            (["data=npz", f"data.path={tmp_path}/moved.npz"], []),
            (["data.name=loaders"], []),
        ]
    ):
        directory = ran(tmp_path / str(number), *words, accuracy=0.98)
        (directory / "checkpoints").mkdir()
        (directory / "checkpoints" / "best.ckpt").touch()
        text = summary(Result.of(read(directory)))
        assert [script for script in ("evaluate.py", "demo.py") if script in text] == offered


def test_a_directory_is_shown_as_seen_from_the_shell_where_the_job_has_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")  # as hydra.job.chdir=true does
    monkeypatch.setattr(directories, "shell_directory", tmp_path)
    assert directories.shown(tmp_path / "run") == Path("run")
