"""Installed by pip, away from the checkout, the package finds its configuration, and writes below where it is used."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mnist_mlp.config.schema import PROJECT


def install(place: Path) -> None:
    """What the build puts into a wheel, as pyproject.toml says: folders of packages, and the files beside them."""
    wheel = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for folder in wheel["packages"]:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / folder, place / Path(folder).name, ignore=ignored)
    for source, target in wheel["force-include"].items():
        shutil.copytree(PROJECT / source, place / target)


@pytest.mark.extras
def test_an_installed_package_composes_its_configuration_anywhere(tmp_path: Path) -> None:
    place, here = tmp_path / "site", tmp_path / "here"
    here.mkdir()
    install(place)
    program = (
        "import mnist_mlp; config = mnist_mlp.composed('experiment=tiny', 'optimizer=sgd', 'hydra/launcher=stacked'); "
        "print(mnist_mlp.__file__, config.data.dir, config.model.hidden, config.optimizer.name, sep='\\n')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=here, env={"PYTHONPATH": str(place)}, capture_output=True, text=True
    )
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == [
        str(place / "mnist_mlp" / "__init__.py"),
        str(here / "data"),
        "[32]",
        "sgd",
    ]
