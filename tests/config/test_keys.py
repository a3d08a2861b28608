"""What is stated about a key where it is declared, and what follows for the parts of the project that ask."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from mnist_mlp.config.compose import composed
from mnist_mlp.config.declare import VARIANTS, key, section
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import (
    affects_result,
    depends_on_length,
    in_hparams,
    keys,
    keys_where,
    limits_steps,
    unstackable,
)
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import CONFIGS, METRIC_KINDS, Config, SchedulerConfig
from mnist_mlp.model.metrics import build_metrics
from mnist_mlp.optim.lr_schedule import lr_factor as rate


@pytest.mark.parametrize("name", METRIC_KINDS)
def test_the_best_value_of_a_metric_is_the_one_that_the_metric_itself_names(name: str) -> None:
    assert METRIC_KINDS[name][1] == (
        "max" if build_metrics([name], 3, "val")[f"val/{name}"].higher_is_better else "min"
    )


@pytest.mark.parametrize("name", VARIANTS["scheduler"])
def test_a_schedule_that_claims_not_to_depend_on_the_length_gives_the_same_rates_for_any(name: str) -> None:
    file = name if (CONFIGS / "scheduler" / f"{name}.yaml").is_file() else "constant"  # one with its keys
    scheduler = composed(f"scheduler={file}", f"scheduler.name={name}").scheduler
    same = [rate(scheduler, step, 40) for step in range(40)] == [rate(scheduler, step, 70) for step in range(40)]
    assert depends_on_length(name) == (not same)


def test_a_schedule_that_says_nothing_counts_as_one_that_depends_on_the_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(VARIANTS["scheduler"], "new", SchedulerConfig)
    assert depends_on_length("new")
    assert depends_on_length("unheard_of")


def test_a_new_section_trains_alone_until_it_says_that_stacks_take_account_of_it() -> None:
    @dataclass(kw_only=True)
    class Mixup:
        share: float = key("of images that are mixed")

    @dataclass(kw_only=True)
    class Other(Config):
        mixup: Mixup
        blend: str = key("what trains")
        seen: Mixup = section(stackable=True)

    config = Other(**vars(composed()), mixup=Mixup(share=0.5), blend="x", seen=Mixup(share=0.5))
    assert unstackable(config) == ["mixup", "blend"]
    assert unstackable(composed()) == []


def test_what_limits_the_steps_of_a_run_decides_its_result() -> None:
    assert keys_where(limits_steps) == {"trainer.max_epochs", "trainer.max_steps"}
    assert keys_where(limits_steps) <= keys_where(affects_result)


def test_a_key_is_a_column_of_the_hparams_table_by_its_own_property_or_by_that_of_its_section() -> None:
    columns = keys_where(in_hparams)
    assert {"data.batch_size", "data.path", "model.activation", "optimizer.lr"} <= columns
    assert not columns & {"data.dir", "trainer.devices", "logger.csv"}


def test_every_property_is_one_of_a_key_that_exists() -> None:
    with pytest.raises(TypeError, match="may_chaneg"):
        key("misspelt", may_chaneg=True)
    assert len(keys()) > 60


def test_a_configuration_of_another_machine_is_read_as_it_was_written() -> None:
    values = asdict(composed())
    values["trainer"] |= {"accelerator": "mps", "devices": [0, 7], "num_nodes": 3, "strategy": "ddp"}
    assert from_dict(values, Config).trainer.devices == [0, 7]


def test_composing_leaves_a_hydra_of_the_program_around_it_alone(tmp_path: Path) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        outer = GlobalHydra.instance().hydra
        assert composed("seed=7").seed == 7
        assert GlobalHydra.instance().hydra is outer
        assert compose("train", ["seed=8"]).seed == 8
    assert composed().seed == 0
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize("text", ["/tmp/a${b}", "a\\${b}", "${oc.env:HOME}", "\\\\${", "$ {x}"])
def test_a_text_is_taken_as_it_is(text: str) -> None:
    """Hydra has resolved what was an interpolation."""
    values = asdict(composed())
    values["resume"] = values["data"]["dir"] = text
    config = from_dict(values, Config)
    assert (config.resume, config.data.dir) == (text, text)


@dataclass(kw_only=True)
class Nested:
    stages: list[list[int]] = key("layers of each stage, and their width", at_least=1)
    norms: dict[str, float] = key("smallest variance in each kind of layer", above=0)
    rates: Any = key("learning rates by name")


NESTED = {"stages": [[2, 32], [4, 64]], "norms": {"batch": 1e-5}, "rates": {"first": 0.1}}


def test_lists_in_lists_and_dictionaries_keep_their_values() -> None:
    assert asdict(from_dict(NESTED, Nested)) == NESTED


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"stages": [[2, 0]]}, "stages: expected a number at least 1, got 0"),
        ({"stages": [2, 32]}, "stages: expected list[list[int]], got [2, 32]"),
        ({"stages": [[[2]]]}, "stages: expected list[list[int]], got [[[2]]]"),
        ({"norms": {"batch": -1.0}}, "norms: expected a number above 0, got -1.0"),
        ({"rates": {0: 0.1}}, "rates: expected texts as keys, got 0 in {0: 0.1}; write '0', or a list of pairs"),
        ({"rates": [{"a": {True: 1}}]}, "rates.a: expected texts as keys, got true in {True: 1}; write 'true', or a"),
    ],
)
def test_what_is_nested_is_checked_too(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        from_dict(NESTED | wrong, Nested)
    assert str(refused.value).startswith(line)
