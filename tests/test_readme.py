"""The commands of the README work as they stand there, with settings that make them short."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from helpers import commands as started

from mnist_mlp.config.schema import PROJECT

pytestmark = pytest.mark.extras

README = (PROJECT / "README.md").read_text()
RECIPES = README.partition("## Commands")[2].partition("## Results")[0]
COMMANDS = re.findall(r"^\| `(python src/[^`]+)` \|", RECIPES, re.MULTILINE)
SHORT = ["data=synthetic", "data.val_size=500", "threads=1"]
QUICK = {
    "train.py": [*SHORT, "trainer.max_epochs=1", "trainer.limit_train_batches=20"],
    "tune.py": [*SHORT, "trainer.max_epochs=1", "trainer.limit_train_batches=20", "tune.trials=2"],
}


FIRST = "python src/train.py"


def run(project: Path, command: str) -> subprocess.CompletedProcess[str]:
    program, *words = shlex.split(command)[1:]
    words = [word.replace("accelerator=gpu", "accelerator=cpu").replace("seed=0,1,2", "seed=0") for word in words]
    if words and words[0].startswith("resume="):
        words = [f"resume={next((project / 'outputs' / 'train').iterdir())}"]
    elif words and "*" in words[0]:
        words = [str(path) for path in project.glob(words[0])]
    else:
        words += QUICK.get(Path(program).name, [])
    return started.run(program, *words, cwd=project, workers=2 if "hydra/launcher=stacked" in words else 0)


def test_the_readme_names_every_command() -> None:
    scripts = {path.name for path in (PROJECT / "src").glob("[!_]*.py")}
    assert {Path(shlex.split(command)[1]).name for command in COMMANDS} == scripts


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(first_run: tuple[Path, subprocess.CompletedProcess[str]], command: str) -> None:
    copy, first = first_run
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
