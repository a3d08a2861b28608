"""The words of a sweep mean to a search what they mean to Hydra, and a draw becomes the run it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.small_search import space
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from mnist_mlp.config.compose import parse
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import CONFIGS, AdamConfig, Config, SGDConfig
from mnist_mlp.extras.tuning.space import SearchSpace


def one(key: str, words: str) -> BaseDistribution:
    return SearchSpace({key: words}, []).distributions[key]


def written(key: str, value: object) -> str:
    return SearchSpace({key: "choice(0)"}, []).overrides({key: value})[0].removeprefix(f"{key}=")


@pytest.mark.parametrize("words", ["range(1,5)", "range(10,50,15)", "range(0.0,0.3,0.05)", "range(0,1,0.3)"])
def test_a_range_holds_the_numbers_that_a_sweep_would_run(words: str) -> None:
    swept = list(OverridesParser.create().parse_override(f"key={words}").sweep_iterator())
    drawn = one("key", words)
    assert isinstance(drawn, IntDistribution | FloatDistribution)
    steps = round((drawn.high - drawn.low) / (drawn.step or 1)) + 1
    values = [drawn.low + index * (drawn.step or 1) for index in range(steps)]
    assert [float(written("key", value)) for value in values] == pytest.approx(swept)


@pytest.mark.parametrize("words", ["choice(relu,gelu)", "relu,gelu", "choice([128,64],[256])", "null,1e-3,'a b'"])
def test_a_choice_holds_the_words_that_a_sweep_would_run(words: str) -> None:
    swept = list(OverridesParser.create().parse_override(f"key={words}").sweep_string_iterator())
    assert list(one("key", words).choices) == swept  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("interval(0,0.5)", FloatDistribution(0.0, 0.5)),
        ("tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("int(interval(16,64))", IntDistribution(16, 64)),
        ("tag(log,int(interval(16,64)))", IntDistribution(16, 64, log=True)),
    ],
)
def test_an_interval_may_be_logarithmic_or_of_whole_numbers(words: str, expected: BaseDistribution) -> None:
    assert one("key", words) == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("3", "expected choice(...), range(...) or interval(...), got 3"),
        ("interval(2,1)", "interval(2,1)"),
        ("range(3,3)", "an empty range"),
        ("tag(lag,interval(1,2))", "expected no tag but log, got lag"),
        ("tag(log,interval(0,2))", "log"),
        ("intervall(1,2)", "intervall"),
        ("choice(", "choice("),
        ("shuffle(choice(1,2,3))", "expected values in one order"),
    ],
)
def test_words_that_say_nothing_to_search_are_refused_by_key(words: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        one("optimizer.lr", words)
    assert "tune.space: optimizer.lr" in str(refused.value)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_draw_composes_to_its_values_over_what_the_command_fixes() -> None:
    drawn = {"optimizer": "sgd", "optimizer.lr": 0.0123456789, "model.hidden": "[7,5]", "data.batch_size": 48}
    with space("experiment=tiny", "trainer.max_epochs=9", "tune.trials=2") as (_, searched):
        config = parse(searched.composed(searched.overrides(drawn)), Config)
    assert isinstance(config.optimizer, SGDConfig)
    assert config.optimizer.lr == 0.0123457  # six digits, the same in the record of the run
    assert (config.model.hidden, config.data.batch_size) == ([7, 5], 48)
    assert (config.data.name, config.trainer.max_epochs) == ("synthetic", 9)


def test_a_key_that_the_command_fixes_is_not_searched() -> None:
    with space("optimizer.lr=0.1", "tune.trials=2") as (_, searched):
        assert "optimizer.lr" not in searched.distributions
        assert "model.dropout" in searched.distributions
        assert searched.fixed == ["optimizer.lr=0.1"]


def test_the_first_draw_is_the_configuration_as_it_stands() -> None:
    with space("++tune.space={optimizer:'choice(sgd,adamw)'}") as (_, searched):
        first = searched.first()
        config = parse(searched.composed(searched.overrides(first)), Config)
        assert config == parse(searched.composed([]), Config)
        assert first.keys() == searched.distributions.keys()
    assert isinstance(config.optimizer, AdamConfig)


def test_the_first_draw_leaves_out_what_lies_outside_of_the_space() -> None:
    words = {
        "optimizer.lr": "interval(0.1,0.2)",
        "model.dropout": "range(0.01,0.2,0.02)",
        "model.activation": "elu,silu",
    }
    with space():
        searched = SearchSpace({**words, "model.hidden": "choice([128,64],[1])"}, [])
        assert searched.first() == {"model.hidden": "[128,64]"}


@pytest.mark.parametrize(
    ("key", "words", "told"),
    [
        ("model.dropout", "interval(0.5,1.5)", "model.dropout: expected a number below 1, got 1.5"),
        ("model.activation", "relu,gelu,sigmoidd", "did you mean sigmoid?"),
        ("model.hidden", "choice([4],5)", r"model.hidden: expected list\[int\], got 5"),
        ("optimizer.momentum", "interval(0,1)", "optimizer=sgd has it"),
    ],
)
def test_what_train_would_refuse_in_any_trial_is_refused_before_the_first(key: str, words: str, told: str) -> None:
    with space(), pytest.raises(ConfigError, match=told):
        SearchSpace({key: words}, []).check()


@pytest.mark.parametrize("own_words", [False, True])
def test_the_default_space_leaves_out_what_a_network_of_ones_own_lacks(tmp_path: Path, own_words: bool) -> None:
    """A range of the command itself stays, so that a mistake in it is reported."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "own.yaml").write_text("name: own\nactivation: relu\ndropout: 0.0\nlabel_smoothing: 0.0\n")
    overrides = [f"hydra.searchpath=['file://{tmp_path}']", "model=own"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        words = dict(compose("tune").tune.space) | ({"model.hidden": "choice([8],[16])"} if own_words else {})
        searched = SearchSpace.of(words, overrides)
        assert searched.left_out == ([] if own_words else ["model.hidden"])
        assert {*searched.distributions, *searched.left_out} == words.keys()
        if own_words:
            with pytest.raises(ConfigError, match="hidden"):
                searched.check()


@pytest.mark.slow
def test_the_whole_default_space_is_searched_with_the_networks_that_come_with_the_project() -> None:
    for model in ("mlp", "cnn"):
        with space("data=synthetic", f"model={model}") as (config, searched):
            searched.check()
            assert searched.distributions.keys() == config.tune.space.keys()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("metrics=[f1]", "checkpoint.monitor=val/f1"), "metrics: a search goes by val/acc: expected acc"),
        (("checkpoint.monitor=val/loss", "checkpoint.mode=min"), "checkpoint.monitor: a search goes by val/acc"),
        (("trainer.limit_val_batches=0",), "trainer.limit_val_batches: a search goes by val/acc: expected more than 0"),
        (
            ("trainer.max_epochs=2", "trainer.check_val_every_n_epoch=3"),
            "trainer.check_val_every_n_epoch: a search goes by val/acc: expected at most the 2 of",
        ),
    ],
)
def test_a_search_that_could_not_compare_its_trials_is_refused(words: tuple[str, ...], complaint: str) -> None:
    with space("data=synthetic", *words) as (_, searched), pytest.raises(ConfigError, match=f"^{complaint}"):
        searched.check()
