"""The commands of the README work as they stand there, with settings that make them short."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import commands as started

from mnist_mlp.config.schema import PROJECT

README = (PROJECT / "README.md").read_text()
RECIPES = README.partition("## Recipes")[2].partition("## Results")[0]
COMMANDS = re.findall(r"^\| `(python src/[^`]+)` \|", RECIPES, re.MULTILINE)
SHORT = ["data=synthetic", "data.val_size=500", "threads=1"]
QUICK = {
    "train.py": [*SHORT, "trainer.max_epochs=1", "trainer.limit_train_batches=20"],
    "tune.py": [*SHORT, "trainer.max_epochs=1", "trainer.limit_train_batches=20", "tune.trials=2"],
}


FIRST = "python src/train.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A copy of what the commands need, with outputs of its own, under a name with a space in it, and its first run."""
    copy = tmp_path_factory.mktemp("my project")
    for part in ("src", "configs", "docs/photos"):
        shutil.copytree(PROJECT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    return copy, run(copy, FIRST)


def run(project: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Those without further words are started as from a shell."""
    program, *words = shlex.split(command)[1:]
    bare = not words
    words = [word.replace("accelerator=gpu", "accelerator=cpu") for word in words]
    if words and words[0].startswith("resume="):
        words = [f"resume={next((project / 'outputs' / 'train').iterdir())}"]
    elif words and "*" in words[0]:
        words = [str(path) for path in project.glob(words[0])]
    else:
        words += QUICK.get(Path(program).name, [])
    if not bare:
        return started.run(program, *words, cwd=project)
    return subprocess.run([sys.executable, program, *words], cwd=project, capture_output=True, text=True, timeout=250)


def test_the_readme_names_every_command() -> None:
    scripts = {path.name for path in (PROJECT / "src").glob("[!_]*.py")}
    assert {Path(shlex.split(command)[1]).name for command in COMMANDS} == scripts


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(project: tuple[Path, subprocess.CompletedProcess[str]], command: str) -> None:
    copy, first = project
    done = first if command == FIRST else run(copy, command)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


def test_the_makefile_has_every_target_of_the_readme_and_contributing() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    text = README + (PROJECT / "CONTRIBUTING.md").read_text()
    used = {
        word for line in re.findall(r"(?:^|`)make ([a-z -]+?)(?:`|  |$)", text, re.MULTILINE) for word in line.split()
    }
    assert used <= targets
