"""A command whose output nobody reads any more ends without a word about it; a run goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_mlp.config.schema import PROJECT

COMMANDS = sorted(path.name for path in (PROJECT / "src").glob("*.py"))


def without_reader(name: str, *words: str) -> tuple[int, str]:
    """The exit code and the errors of a command whose output goes into a pipe that is closed at its other end."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(PROJECT / "src" / name), *words]
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    finally:
        os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_that_nobody_reads_ends_silently(name: str) -> None:
    code, error = without_reader(name, "--help")
    assert code in (0, 1)  # argparse takes no notice where Python writes at once
    assert error == ""


def test_a_sweep_that_nobody_reads_goes_on_to_its_end(tmp_path: Path) -> None:
    words = ("experiment=tiny", "trainer.max_epochs=2", "trainer.limit_train_batches=5", "seed=0,1")
    code, error = without_reader("train.py", "-m", *words, f"hydra.sweep.dir={tmp_path}")
    assert (code, error) == (0, "")
    results = [json.loads((tmp_path / job / "result.json").read_text()) for job in "01"]
    assert [result["status"] for result in results] == ["completed", "completed"]
    assert "epoch   2/2" in (tmp_path / "1" / "train.log").read_text()
