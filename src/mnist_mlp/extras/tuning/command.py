"""Command line of tune.py, as far as it goes beyond that of train.py, and its check before any work."""

from __future__ import annotations

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from mnist_mlp.cli.exit_codes import exit_codes
from mnist_mlp.config.errors import ConfigError, require
from mnist_mlp.config.keys import keys, keys_without_effect, sections_without_effect


def searched_on_the_command_line(arguments: list[str]) -> list[str]:
    """The arguments, with every key that is given as a sweep moved into `tune.space`.

    Left to itself, Hydra takes `optimizer.lr=interval(1e-4,1e-1)` for a multirun, and refuses it in a single run.

    Raises:
        ConfigError: `resume=<directory>`, which is for runs and sweeps; or several values of a key without an effect on
            the result.
    """
    parser = OverridesParser.create()
    kept, searched = [], []
    for argument in arguments:
        try:
            override = parser.parse_override(argument)
        except HydraException:  # an option such as --help, or a mistake that Hydra explains
            kept.append(argument)
            continue
        if override.key_or_group == "resume" and override.value() is not None:
            raise ConfigError("resume: a search continues by the name of its study, as in tune.py tune.study=<name>")
        if override.is_sweep_override():
            key = str(override.key_or_group)
            if _changes_no_result(key):
                raise ConfigError(f"{key}: expected one value, as it changes no result that a search compares")
            expression = QuotedString(override.get_value_string(), Quote.double)
            name = key if key in keys() else override.get_key_element()  # a known key without ++
            searched.append(f"{name}:{expression.with_quotes()}")
        else:
            kept.append(argument)
    return [*kept, f"++tune.space={{{','.join(searched)}}}"] if searched else kept


def _changes_no_result(key: str) -> bool:
    section = key.replace("/", ".").partition(".")[0]
    return section in ("tune", "hydra", *sections_without_effect()) or key in keys_without_effect()


class CheckSpace(Callback):
    """Refuses a wrong search space before a directory is made or torch is imported."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        with exit_codes():
            require("optuna", "filelock")
            from mnist_mlp.extras.tuning.space import SearchSpace

            SearchSpace.of(config.tune.space, config.hydra.overrides.task).check()
