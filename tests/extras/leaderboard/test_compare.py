"""`compare.py`: fast, without torch, and one clear line for what is not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
from helpers.child_processes import command_in_child
from helpers.fake_run import ran

from mnist_mlp.config.compose import composed
from mnist_mlp.config.schema import PROJECT

COMPARE = PROJECT / "src" / "compare.py"
compare = partial(command_in_child, COMPARE)


@pytest.mark.slow
def test_two_thousand_runs_are_compared_without_importing_torch(tmp_path: Path) -> None:
    config = asdict(composed())
    for number in range(2_048):
        own = {**config, "optimizer": {**config["optimizer"], "lr": (1 + number // 4) / 1000}}
        place = tmp_path / "runs" / str(number)
        ran(place, accuracy=0.7 + (number + number % 7) / 1e4, seed=number % 4, config=own)
    trap = tmp_path / "trap" / "torch.py"
    trap.parent.mkdir()
    trap.write_text("raise SystemExit('torch was imported')")
    words = [str(tmp_path / "runs"), f"--csv={tmp_path / 'table.csv'}", f"--report={tmp_path / 'page.html'}"]
    environment = {**os.environ, "PYTHONPATH": str(trap.parent)}
    command = [sys.executable, str(COMPARE), *words]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "... and 462 more" in answer.stdout
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 2_049
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_exactly_two_runs_are_told_by_their_difference(tmp_path: Path) -> None:
    one = ran(tmp_path / "0", accuracy=0.98)
    other = ran(tmp_path / "1", "optimizer.lr=0.01", accuracy=0.985)
    assert "difference" in compare(str(one), str(other)).stdout
    for words in ([str(tmp_path)], [str(tmp_path)] * 2):  # a folder, or a sweep, of two
        assert "difference" not in compare(*words).stdout


@pytest.mark.parametrize("damage", ["", "{", "[]", "null"])
def test_a_result_that_cannot_be_read_is_listed(tmp_path: Path, damage: str) -> None:
    ran(tmp_path / "0", accuracy=0.98)
    shutil.copytree(tmp_path / "0", tmp_path / "1")
    ran(tmp_path / "2", accuracy=0.97, seed=1)
    (tmp_path / "1" / "result.json").write_text(damage)
    answer = compare(str(tmp_path))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert f"no result  {tmp_path / '1'}" in answer.stdout


@pytest.mark.parametrize(
    ("part", "value", "complaint"),
    [
        ("seconds.total", None, "seconds.total: expected a number, got null"),
        ("metrics.val/acc", "0.9", 'metrics.val/acc: expected a number, got "0.9"'),
        ("history.0.val/acc", [], "history.0.val/acc: expected a number, got []"),
        ("history.0", 3, "history.0: expected an object, got 3"),
        ("config.checkpoint", 3, "config.checkpoint: expected an object, got 3"),
        ("parameters", True, "parameters: expected a whole number, got true"),
        ("versions", [], "versions: expected an object, got []"),
    ],
)
def test_a_result_with_a_part_of_another_kind_is_listed_with_the_reason_and_the_others_are_ranked(
    tmp_path: Path, part: str, value: object, complaint: str
) -> None:
    for seed in range(3):
        ran(tmp_path / str(seed), accuracy=0.9, seed=seed)
    result = json.loads((tmp_path / "0" / "result.json").read_text())
    *outer, last = part.split(".")
    place = result
    for name in outer:
        place = place[int(name) if name.isdecimal() else name]
    place[int(last) if last.isdecimal() else last] = value
    (tmp_path / "0" / "result.json").write_text(json.dumps(result))
    answer = compare(str(tmp_path), "--csv", str(tmp_path / "table.csv"))
    assert (answer.returncode, answer.stderr) == (0, "")
    listed = answer.stdout.index(f"no result  {tmp_path / '0'}")
    assert complaint in " ".join(answer.stdout[listed:].split())
    assert "seed=1,2" in answer.stdout
    assert compare(str(tmp_path / "0"), str(tmp_path / "1")).returncode == 0


@pytest.mark.parametrize("words", [(), ("--cvs", "x"), ("x", "--csv")])
def test_a_wrong_command_line_gets_one_clear_line(words: tuple[str, ...]) -> None:
    answer = compare(*words)
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    assert answer.stderr.endswith("; --help lists what there is\n")


def test_a_place_without_runs_gets_one_clear_line(tmp_path: Path) -> None:
    answer = compare(str(tmp_path / "nowhere"))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert (
        answer.stderr
        == f"compare.py: {tmp_path / 'nowhere'}: expected the directory of a run or of a sweep, got no such directory\n"
    )


@pytest.mark.parametrize("option", ["--csv", "--json", "--report"])
def test_a_table_or_a_page_that_cannot_be_written_is_refused_before_a_run_is_read(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    for place, told in (
        (tmp_path, f"expected a file that can be written, got {tmp_path}"),
        (tmp_path / "file" / "out", "expected a place where a file can be made"),
    ):
        answer = compare(str(tmp_path / "nowhere"), f"{option}={place}")
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr.startswith(f"compare.py: {option}: {told}")
        assert answer.stderr.count("\n") == 1


def test_two_tables_in_one_file_are_refused(tmp_path: Path) -> None:
    answer = compare(str(tmp_path / "nowhere"), f"--csv={tmp_path / 'out'}", f"--json={tmp_path / 'out'}")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "expected a file of its own for each" in answer.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a disk with no room left")
@pytest.mark.parametrize("option", ["--csv", "--json", pytest.param("--report", marks=pytest.mark.slow)])
def test_a_disk_that_is_full_is_one_clear_line(tmp_path: Path, option: str) -> None:
    answer = compare(str(ran(tmp_path / "0", accuracy=0.98)), f"{option}=/dev/full")
    assert answer.returncode == 1
    assert answer.stderr == f"compare.py: {option} /dev/full: cannot be written: No space left on device\n"


@pytest.mark.parametrize("option", ["--csv", "--json", pytest.param("--report", marks=pytest.mark.slow)])
def test_missing_folders_are_made_and_told(tmp_path: Path, option: str) -> None:
    place = tmp_path / "new" / "newer" / "out"
    answer = compare(str(ran(tmp_path / "0", accuracy=0.98)), f"{option}={place}")
    assert answer.returncode == 0
    assert answer.stdout.split()[-1] == str(place)
    assert place.stat().st_size > 0
