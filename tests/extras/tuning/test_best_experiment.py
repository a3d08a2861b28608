"""The file of the best trial composes to the configuration of that trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.small_search import space

from mnist_mlp.config.compose import composed, parse
from mnist_mlp.config.schema import Config
from mnist_mlp.extras.tuning.best_experiment import as_experiment


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        pytest.param(["optimizer.lr=0.0123"], marks=pytest.mark.slow),
        ["optimizer=sgd", "optimizer.momentum=0.5", "scheduler=constant", "model.hidden=[]"],
        pytest.param(
            ["experiment=seed", "model.hidden=[300,100]", "seed=7", "trainer.gradient_clip_val=1.0"],
            marks=pytest.mark.slow,
        ),
        ["data=fashion_mnist", "data.dir=/elsewhere", "trainer.max_time='00:01:00:00'"],
    ],
)
def test_the_file_of_a_trial_composes_to_the_same_configuration(tmp_path: Path, overrides: list[str]) -> None:
    with space() as (_, searched):
        wanted = parse(searched.composed(overrides), Config)
        text = as_experiment(overrides, "found")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "best.yaml").write_text(text)
    assert composed(f"hydra.searchpath=['file://{tmp_path}']", "experiment=best") == wanted


def test_the_file_says_only_what_sets_the_trial_apart() -> None:
    with space():
        text = as_experiment(["optimizer.lr=0.5", "logger=csv", "model.activation=relu"], "found")
    assert text == "# @package _global_\n# found\noptimizer:\n  lr: 0.5\n"
