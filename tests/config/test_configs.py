"""Every file under configs/ composes, and what it gives is valid."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.kill_and_resume import OVERRIDES, configuration
from omegaconf import OmegaConf

from mnist_mlp.config.compose import composed
from mnist_mlp.config.declare import VARIANTS
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import keys, leaves
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import CONFIGS, Config

OPTIONS = sorted(
    (path.parent.relative_to(CONFIGS).as_posix(), path.stem)
    for path in CONFIGS.glob("*/*.yaml")
    if path.parent.name not in ("base", "hydra", "sweep")
)


@pytest.mark.parametrize(
    ("group", "option"),
    [pytest.param(*pair, marks=[] if pair[0] == "experiment" else pytest.mark.slow) for pair in OPTIONS],
)
def test_every_option_of_every_group_composes(group: str, option: str) -> None:
    if option in ("mlflow", "wandb") and find_spec(option) is None:
        pytest.skip(f"{option} is not installed")
    stacked = "launcher: stacked" in (CONFIGS / group / f"{option}.yaml").read_text()
    if stacked and find_spec("hydra_plugins.stacked") is None:
        pytest.skip("the stacked launcher was left out")
    config = composed(f"{group}={option}")
    assert from_dict(asdict(config), Config) == config


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_file_is_yaml_that_says_something(path: Path) -> None:
    assert OmegaConf.load(path)


def test_every_key_is_documented_in_one_line_and_has_a_value() -> None:
    for name, entry in keys(Config).items():
        assert entry.key.doc, name
        assert "\n" not in entry.key.doc, name
    options = [f"{group}={file.stem}" for group in VARIANTS for file in (CONFIGS / group).glob("*.yaml")]
    given = {name for words in ([], *([option] for option in options)) for name, _, _ in leaves(composed(*words))}
    assert set(keys(Config)) == given


@pytest.mark.parametrize(
    "words",
    [(), ("model.hidden=[]", "optimizer=sgd", "optimizer.momentum=0.5", "+callbacks.own={a: {B: {}}}", "threads=2")],
)
def test_the_configurations_of_the_tests_are_those_that_hydra_composes(words: tuple[str, ...]) -> None:
    assert configuration(*words) == composed(*OVERRIDES, *words)


def test_a_checkpoint_from_before_a_key_is_still_read() -> None:
    values = asdict(composed("augment=elastic"))
    del values["augment"]["blank"]
    assert from_dict(values, Config) == composed("augment=elastic")


@pytest.mark.parametrize("name", ["seed", "quick", "no_augment"])
def test_a_recipe_without_augmentation_does_not_inherit_that_of_the_default(name: str) -> None:
    augment = composed(f"experiment={name}").augment
    assert not any((augment.shift, augment.rotation, augment.scale, augment.slant, augment.elastic))


def test_a_data_set_is_normalised_by_its_own_statistics_unless_its_file_has_numbers() -> None:
    expected = {
        "mnist": (0.1307, 0.3081),
        "fashion_mnist": (0.2860, 0.3530),
        "synthetic": (0.1307, 0.3081),
        "folder": (None, None),
        "npz": (None, None),
    }
    for option, statistics in expected.items():
        data = composed(f"data={option}").data
        assert (data.mean, data.std) == statistics


def test_an_experiment_gives_way_to_the_command_line() -> None:
    assert composed("experiment=seed", "optimizer.lr=0.5").optimizer.lr == 0.5
    assert composed("experiment=null", "sweep=null", "debug=null") == composed()


def test_what_a_checkpoint_says_is_checked_like_what_a_person_says() -> None:
    values = asdict(composed())
    with pytest.raises(ConfigError, match=r"unknown key model\._target_"):
        from_dict({**values, "model": {**values["model"], "_target_": "os.system"}}, Config)
