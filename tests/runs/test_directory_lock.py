"""A directory has one owner while it is in use: the second is refused by a line that names the first."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import SoftFileLock
from helpers.kill_and_resume import configuration

from mnist_mlp.cli.exit_codes import system_error
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.runs.directory_lock import LOCK, locked, remove_if_nothing_but
from mnist_mlp.runs.record import RUN
from mnist_mlp.runs.run_directory import locked_for_run

HOLDS = "import sys, time\nfrom pathlib import Path\nfrom mnist_mlp.runs.directory_lock import acquire\n" + (
    "acquire(Path(sys.argv[1]))\nprint('held', flush=True)\ntime.sleep(60)\n"
)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", HOLDS, str(tmp_path / "run")]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_is_at_work_and_nothing_is_touched(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    before = (tmp_path / "run" / LOCK).read_text()
    with (
        pytest.raises(ConfigError, match=rf"run is in use by process {holder.pid} on .* since 20"),
        locked_for_run(tmp_path / "run", configuration()),
    ):
        pass
    assert (tmp_path / "run" / LOCK).read_text() == before
    assert not (tmp_path / "run" / RUN).exists()


def test_a_lock_dies_with_its_process(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(tmp_path / "run"):
        assert f'"process": {os.getpid()}' in (tmp_path / "run" / LOCK).read_text()


def test_without_locks_of_the_system_a_directory_is_free_again_after_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filelock.FileLock", SoftFileLock)
    with locked(tmp_path / "run"):
        assert not (tmp_path / "run" / LOCK).read_text().startswith("{")  # it is filelock's, which reads it
    with locked(tmp_path / "run"):
        pass


def test_a_block_in_a_block_of_the_same_process_keeps_the_directory(tmp_path: Path) -> None:
    with locked(tmp_path):
        with locked(tmp_path):
            pass
        code = "import sys, pathlib, mnist_mlp.runs.directory_lock as it; it.acquire(pathlib.Path(sys.argv[1]))"
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True
        )
        assert "is in use by process" in done.stderr


def test_only_a_directory_that_was_made_here_and_holds_nothing_else_is_removed(tmp_path: Path) -> None:
    for name, before, inside, left in (
        ("new", False, ".hydra", 0),
        ("old", True, ".hydra", 1),
        ("used", False, "best", 1),
    ):
        directory = tmp_path / name
        if before:
            directory.mkdir()
        with locked(directory):
            (directory / inside).mkdir()
            remove_if_nothing_but(directory, ".hydra")
        assert directory.exists() == bool(left), name


def test_a_full_disk_that_does_not_say_what_cannot_be_written_is_told_with_the_directory_in_use(
    tmp_path: Path,
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    with locked(tmp_path / "run"):
        assert system_error(error) == f"{tmp_path / 'run'}: No space left on device"
    assert system_error(error) == "No space left on device"


def test_a_call_makes_its_directory_leaves_a_record_and_overwrites_no_run(tmp_path: Path) -> None:
    config, directory = configuration(), tmp_path / "a" / "b"
    with locked_for_run(directory, config):
        assert (directory / RUN).exists()
        (directory / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match="already holds a run"), locked_for_run(directory, config):
        pass
    with locked_for_run(directory, replace(config, resume=str(directory))):
        pass
