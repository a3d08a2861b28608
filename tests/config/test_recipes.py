"""A recipe trains the same network whatever the default is: it chooses the groups whose keys it sets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mnist_mlp.config import compose
from mnist_mlp.config.schema import CONFIGS


@pytest.mark.slow
def test_recipes_do_not_depend_on_the_default_network_and_optimizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = sorted(file.stem for file in (CONFIGS / "experiment").glob("*.yaml"))
    usual = {name: compose.composed(f"experiment={name}") for name in recipes}
    other = shutil.copytree(CONFIGS, tmp_path / "configs")
    train = (other / "train.yaml").read_text()
    changed = train.replace("- model: mlp", "- model: cnn").replace("- optimizer: adamw", "- optimizer: sgd")
    (other / "train.yaml").write_text(changed)
    monkeypatch.setattr(compose, "CONFIGS", other)
    assert compose.composed().model.name == "cnn"
    assert compose.composed().optimizer.name == "sgd"
    for name in recipes:
        assert compose.composed(f"experiment={name}").model == usual[name].model
    for name in ("small_best", "big", "no_augment"):
        assert compose.composed(f"experiment={name}").optimizer == usual[name].optimizer
    for name in ("width_lr", "activations"):
        assert compose.composed(f"sweep={name}").model.name == "mlp"
