"""`python src/predict.py`: its arguments, its exit codes, and what it prints where."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from extras.handwriting.drawings import write
from helpers import untrained_network as untrained
from PIL import Image

import predict
from mnist_mlp.config.errors import SaveError

SOURCE = Path(predict.__file__).parent


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return untrained.checkpoint(tmp_path_factory.mktemp("untrained") / "best.ckpt")


@pytest.fixture
def folder(tmp_path) -> Path:
    write("7", np.random.default_rng(0)).save(tmp_path / "b.png")
    write("12", np.random.default_rng(0)).save(tmp_path / "a.JPG")
    (tmp_path / "notes.txt").write_text("no picture, and not asked for")
    return tmp_path


def run(*words: object) -> int:
    return predict.predict(predict.arguments([str(word) for word in words]))


def test_folders_patterns_and_files_are_read_once_each_in_the_order_given(folder):
    inside = folder / "deeper"
    inside.mkdir()
    Image.new("L", (5, 5)).save(inside / "c.gif")
    assert predict.files_of([str(folder)]) == [folder / "a.JPG", folder / "b.png", inside / "c.gif"]
    files = predict.files_of([str(folder / "b.png"), str(folder / "*.*"), "not there.png"])
    assert files == [folder / "b.png", folder / "a.JPG", folder / "notes.txt", Path("not there.png")]
    assert predict.files_of([str(folder / "deep*")]) == [inside / "c.gif"]  # a folder that the pattern matches


def test_a_name_that_looks_like_a_pattern_is_a_name_where_it_exists(folder):
    (folder / "b.png").rename(folder / "[b].png")
    assert predict.files_of([str(folder / "[b].png")]) == [folder / "[b].png"]


def test_json_goes_to_the_output_and_the_checkpoint_is_named_beside_it(folder, checkpoint, capsys):
    assert run(folder, "--checkpoint", checkpoint, "--format", "json") == 0
    printed = capsys.readouterr()
    assert [Path(entry["file"]).name for entry in json.loads(printed.out)] == ["a.JPG", "b.png"]
    assert str(checkpoint) in printed.err


def test_options_may_be_written_as_in_the_other_commands_unless_there_is_such_a_file(folder, checkpoint, monkeypatch):
    monkeypatch.chdir(folder)
    options = predict.arguments(["b.png", f"checkpoint={checkpoint}", "format=csv"])
    assert (options.images, options.checkpoint, options.format) == (["b.png"], checkpoint, "csv")
    assert predict.arguments(["b.png", "checkpoint=~/run"]).checkpoint == Path.home() / "run"  # as zsh leaves it
    (folder / "format=csv").write_bytes(b"")
    assert predict.arguments(["format=csv"]).images == ["format=csv"]


def test_without_a_checkpoint_the_newest_completed_run_is_taken_and_described(folder, capsys, monkeypatch):
    run_directory = folder / "outputs" / "multirun" / "noon" / "3"
    checkpoint = untrained.checkpoint(run_directory / "checkpoints" / "best.ckpt")
    (run_directory / "result.json").write_text('{"status": "completed"}')
    monkeypatch.setattr("mnist_mlp.runs.newest.OUTPUTS", folder / "outputs")
    assert run(folder / "b.png") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"checkpoint: {checkpoint}   (the newest completed run, not tested, trained on synthetic)"
    assert run(folder / "b.png", "--checkpoint", checkpoint) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"checkpoint: {checkpoint}   (trained on synthetic)"


def test_bad_files_are_told_and_the_others_answered(folder, checkpoint, capsys):
    (folder / "empty.png").write_bytes(b"")
    assert run(folder, folder / "gone.png", "--checkpoint", checkpoint) == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("checkpoint:") and len(lines) == 6
    assert "a.JPG " in lines[2] and "b.png " in lines[3]
    assert "error: empty file" in lines[4] and "error: No such file" in lines[5]
    assert "2 of 4 files could not be read" in printed.err


def test_where_no_file_can_be_read_it_exits_with_2(tmp_path, checkpoint):
    (tmp_path / "empty.png").write_bytes(b"")
    assert run(tmp_path / "empty.png", "--checkpoint", checkpoint) == 2


def test_a_picture_is_drawn_and_said_to_lie_where_it_does(folder, checkpoint, tmp_path, capsys):
    (folder / "a.JPG").rename(folder / "cost$5_$.JPG")  # no formula
    assert run(folder, "--checkpoint", checkpoint, "--picture", tmp_path / "new" / "out.png") == 0
    assert f"picture: {tmp_path / 'new' / 'out.png'}" in capsys.readouterr().out.splitlines()
    long = "x" * 300
    assert (
        run(
            folder / "b.png",
            folder / "cost$5_$.JPG",
            long,
            "--checkpoint",
            checkpoint,
            "--picture",
            tmp_path / "new" / "out.png",
        )
        == 1
    )
    with Image.open(tmp_path / "new" / "out.png") as picture:
        assert picture.width > 1000


def test_the_line_that_names_the_picture_says_how_many_files_are_not_in_it(folder, checkpoint, capsys, monkeypatch):
    monkeypatch.setattr(predict, "MOST_PICTURED", 2)
    (folder / "c.png").write_bytes((folder / "b.png").read_bytes())
    Image.new("L", (40, 30), 250).save(folder / "blank.png")
    out = folder.with_suffix(".png")
    assert run(folder, "--checkpoint", checkpoint, "--picture", out) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"picture: {out} (the first 2 of 3 files with digits)"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a disk with no room left")
def test_a_picture_that_cannot_be_written_after_all_is_one_clear_line(folder, checkpoint, tmp_path):
    (tmp_path / "out.png").symlink_to("/dev/full")
    with pytest.raises(SaveError, match=r"--picture .*out.png: cannot be written: No space left on device"):
        run(folder / "b.png", "--checkpoint", checkpoint, "--picture", tmp_path / "out.png")


WRONG = {
    "nothing there": (["gone.png", "--checkpoint", "x"], "gone.png: expected a picture or a folder with pictures"),
    "a name that is too long": (["x" * 300], "xxx: expected a picture or a folder with pictures, found none"),
    "an empty name": (["b.png", ""], "argument image: expected a path, got an empty one"),
    "an empty checkpoint": (["b.png", "checkpoint="], "argument --checkpoint: expected a path, got an empty one"),
    "an empty folder": (["."], "expected a picture or a folder with pictures, found none"),
    "a picture of no kind": (["b.png", "--picture", "out.doc"], "expected a name that ends in .png"),
    "a picture nowhere": (["b.png", "--picture", "b.png/out.png"], "a file can be made, got b.png; b.png is not"),
    "a picture on a folder": (["b.png", "--picture", "c.png"], "expected a file that can be written, got c.png"),
    "a picture on one to be read": (["b.png", "--picture", "b.png"], "expected a file other than those to be read"),
    "no such format": (["b.png", "--format", "xml"], "invalid choice: 'xml'"),
    "no image": ([], "required: image"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_command_is_one_clear_line_before_torch_is_imported(folder, mistake):
    words, reason = WRONG[mistake]
    place = folder if words[:1] == ["b.png"] else folder / "empty"
    place.mkdir(exist_ok=True)
    (folder / "c.png").mkdir()
    program = (
        "import sys; from predict import main\n"
        "try: code = main()\n"
        "except SystemExit as end: code = end.code\n"
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=place,
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert reason in done.stderr and done.stderr.count("\n") == 1
