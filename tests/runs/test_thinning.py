"""What a completed run of a sweep keeps on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.kill_and_resume import configuration

from mnist_mlp.runs import directories
from mnist_mlp.runs.record import Command, RunRecord, write_run
from mnist_mlp.runs.thinning import summary_line, thin
from mnist_mlp.training import train

WORDS = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "logger=tensorboard", "logger.csv=true")


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("keep", "kept"), [("best", {"result.json", "checkpoints/best.ckpt"}), ("results", {"result.json"})]
)
def test_a_completed_job_keeps_what_was_asked_for(tmp_path: Path, keep: str, kept: set[str]) -> None:
    own = tmp_path / "0" / "notes.txt"  # of somebody else
    own.parent.mkdir()
    own.touch()
    config = configuration(*WORDS, f"sweep.keep={keep}")
    train(config, tmp_path / "0", test=False)
    assert files(tmp_path / "0") == {*kept, "notes.txt"}
    assert directories.read(tmp_path / "0").status == directories.COMPLETED


def test_the_only_weights_of_a_run_without_validation_are_kept_and_the_summary_names_them(tmp_path: Path) -> None:
    for job, checkpoints in enumerate((("best", "last"), ("last", "previous"), ("last",))):
        (tmp_path / str(job) / "checkpoints").mkdir(parents=True)
        for name in ("result.json", "train.log", *(f"checkpoints/{name}.ckpt" for name in checkpoints)):
            (tmp_path / str(job) / name).touch()
        thin(tmp_path / str(job), "best")
    best, last = ({"result.json", f"checkpoints/{name}.ckpt"} for name in ("best", "last"))
    jobs = [tmp_path / str(job) for job in range(3)]
    assert list(map(files, jobs)) == [best, last, last]
    line = summary_line("best", jobs)
    assert "result.json and checkpoints/best.ckpt of 1 completed run," in line
    assert "result.json and checkpoints/last.ckpt of 2 completed runs " in line


def test_a_folder_among_the_checkpoints_does_not_fail_a_completed_run(tmp_path: Path) -> None:
    for path in (tmp_path / "checkpoints" / "of_a_callback", tmp_path / "checkpoints"):
        path.mkdir(parents=True, exist_ok=True)
        (path / "best.ckpt").touch()
    thin(tmp_path, "best")
    assert files(tmp_path) == {"checkpoints/best.ckpt"}


def test_what_hydra_writes_is_deleted_under_any_name(tmp_path: Path) -> None:
    hydra = [
        "hydra.output_subdir=meta",
        "hydra.job.name=v1.2",
        "hydra.output_subdir=..",
        f"hydra.output_subdir={tmp_path}",
    ]
    command = Command(config_name="train", config_dirs=[], task=[], hydra=hydra)
    write_run(tmp_path, RunRecord(config={}, command=command))
    (tmp_path / "meta").mkdir()
    for name in ("meta/config.yaml", "v1.2.log", "result.json", "notes.log"):
        (tmp_path / name).touch()
    thin(tmp_path, "results")
    assert files(tmp_path) == {"result.json", "notes.log"}


def test_everything_is_kept_unless_asked_otherwise(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    thin(tmp_path, "all")
    assert files(tmp_path) == {"checkpoints/last.ckpt"}
