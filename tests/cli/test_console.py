"""A command whose output nobody reads any more ends without a word about it; a run goes on."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_mlp.cli.console import LogFile
from mnist_mlp.cli.exit_codes import system_error
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


@pytest.mark.slow
def test_a_sweep_that_nobody_reads_goes_on_to_its_end(tmp_path: Path) -> None:
    words = ("experiment=tiny", "trainer.max_epochs=2", "trainer.limit_train_batches=5", "seed=0,1")
    code, error = without_reader("train.py", "-m", *words, f"hydra.sweep.dir={tmp_path}")
    assert (code, error) == (0, "")
    results = [json.loads((tmp_path / job / "result.json").read_text()) for job in "01"]
    assert [result["status"] for result in results] == ["completed", "completed"]
    assert "epoch   2/2" in (tmp_path / "1" / "train.log").read_text()


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "1 +- 2 \\xfc"),
        ({"PYTHONIOENCODING": "ascii"}, "1 +- 2 \\xfc"),
        ({"PYTHONIOENCODING": "utf-8"}, "1 ± 2 ü"),
    ],
)
def test_a_terminal_that_lacks_a_letter_gets_another(environment: dict[str, str], printed: str) -> None:
    program = "from mnist_mlp.cli.console import open_streams\nopen_streams()\nprint('1 \\xb1 2 \\xfc')"
    path = {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **path, **environment}, capture_output=True
    )
    assert done.stdout.decode() == f"{printed}\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name[0] != "_"])
def test_a_python_without_the_packages_is_one_line(name: str) -> None:
    command = [sys.executable, "-S", str(PROJECT / "src" / name), "x"]  # -S: without site-packages
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"{name}: expected a Python from 3.11 on with the project's packages, got ")


def test_a_package_that_is_missing_is_one_line_and_a_module_of_ours_is_a_bug() -> None:
    install = f"needs a package that is not installed: {sys.executable} -m pip install"
    wrapped = RuntimeError("while importing")
    wrapped.__cause__ = ModuleNotFoundError("No module named 'no_such.part'", name="no_such.part")
    assert system_error(wrapped) == f"{install} no-such"
    assert system_error(ModuleNotFoundError("...", name="mnist_mlp.nowhere")) is None


@pytest.mark.parametrize(("output", "code"), [(">&-", 0), (">/dev/full", 1)])
def test_output_that_is_closed_is_no_error_and_one_that_is_full_is_a_line(output: str, code: int) -> None:
    words = f"{shlex.quote(sys.executable)} {shlex.quote(str(PROJECT / 'src' / 'train.py'))} --help {output}"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert done.stderr.count("\n") == code


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the file of Linux that is always full")
def test_a_log_on_a_full_disk_is_one_line_however_much_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    log = LogFile("/dev/full", encoding="utf-8")
    for word in ("one", "two"):
        log.handle(logging.makeLogRecord({"msg": word}))
    assert capsys.readouterr().err == "/dev/full: cannot be written: No space left on device\n"
    with contextlib.suppress(OSError):
        log.close()
