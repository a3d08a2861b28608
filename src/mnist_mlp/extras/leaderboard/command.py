"""Arguments to paste into a terminal: a run's checkpoint, and the command that trains a configuration again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, cast

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mnist_mlp.config.compose import composed
from mnist_mlp.config.overrides import override_value
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.extras.leaderboard.leaderboard import flattened, settings
from mnist_mlp.runs import directories
from mnist_mlp.runs.command_line import arguments_of


def checkpoint(run: directories.Run) -> str:
    """`checkpoint=<the best checkpoint of the run>`, quoted for Hydra and for a shell."""
    place = str(directories.shown(run.directory / directories.CHECKPOINTS / directories.BEST))
    plain = re.fullmatch(r"[\w./:@%+-]+", place, re.ASCII)  # what Hydra reads as it is
    return shlex.quote(f"checkpoint={place if plain else override_value(place)}")


def command(config: Mapping[str, Any], seeds: Sequence[int]) -> list[str]:
    """The arguments of a command line; a sweep over `seeds` where there are several.

    Its overrides are the differences from what the files under configs/ compose now. So the command is right whatever
    wrote the configuration: a command line, a sweep, a search, or an experiment file that has changed since.
    """
    words = [*(["-m"] if len(seeds) > 1 else []), *overrides(config)]
    words += [f"seed={_sweep_over(seeds)}"] if list(seeds) != [_flattened_composition()["seed"]] else []
    return arguments_of("train.py", *words)


def _sweep_over(seeds: Sequence[int]) -> str:
    """The seeds as values of a sweep; many in a row as a range."""
    in_a_row = len(seeds) > 5 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"range({seeds[0]},{seeds[-1] + 1})" if in_a_row else ",".join(map(str, seeds))


def overrides(config: Mapping[str, Any]) -> list[str]:
    """The overrides that turn the default configuration into `config`, apart from the seed.

    First options by the `name` of their section, then options that take the place of several keys (`augment=none`),
    own callbacks, and the keys that still differ.
    """
    default = _flattened_composition()
    groups = [
        f"{section}={values['name']}"
        for section, values in config.items()
        if isinstance(values, Mapping)
        and values.get("name", default.get(f"{section}.name")) != default.get(f"{section}.name")
        and (CONFIGS / section / f"{values['name']}.yaml").is_file()
    ]
    own = (config.get("callbacks") or {}).get("own")  # added whole: the default has no keys there
    added = [f"+callbacks.own={override_value(own)}"] if own else []
    for section in [name for name, values in config.items() if isinstance(values, Mapping) and "name" not in values]:
        groups += _option_for(section, config, groups)
    return [*groups, *added, *_keys_to_change(config, groups)]


def _keys_to_change(config: Mapping[str, Any], groups: Sequence[str]) -> list[str]:
    start, stated = _flattened_composition(*groups), _keys_in_files(*groups)
    return [
        f"{'' if name in stated else '++'}{name}={override_value(value)}"
        for name, value in settings(config).items()
        # As text, since 1 and 1.0 are equal but mean one batch and all of them in trainer.limit_train_batches.
        if name in start and repr(start[name]) != repr(value)
    ]


def _option_for(section: str, config: Mapping[str, Any], groups: Sequence[str]) -> list[str]:
    """`[augment=none]`, if such an option of the section takes the place of several keys; else an empty list."""
    changed = _keys_to_change(config, groups)
    if sum(word.startswith(f"{section}.") for word in changed) < 2:
        return []
    options = [f"{section}={path.stem}" for path in sorted((CONFIGS / section).glob("*.yaml"))]
    left = {option: len(_keys_to_change(config, [*groups, option])) for option in options}
    fewest = min(left, key=lambda option: left[option], default=None)
    return [fewest] if fewest is not None and left[fewest] + 1 < len(changed) else []


@cache
def _keys_in_files(*groups: str) -> frozenset[str]:
    """The keys that the files of these groups set: Hydra adds another one only with + before it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composition = OmegaConf.to_container(compose("train", list(groups)))
    return frozenset(flattened(cast(dict[str, Any], composition)))


@cache
def _flattened_composition(*groups: str) -> dict[str, Any]:
    return flattened(asdict(composed(*groups)))
