"""A trial as an experiment file for train.py: its difference from the default configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.compose import without_sections
from mnist_mlp.config.keys import global_groups, sections_without_effect

# Recipes, whose values are written key by key instead; sections that change no result; and the search itself.
LEFT_OUT = (*global_groups(), *sections_without_effect(), "tune", "hydra")


def as_experiment(overrides: Sequence[str], comment: str) -> str:
    """The text of a file for configs/experiment/: `experiment=<its name>` composes what the `overrides` compose.

    Groups first, as the choice of `optimizer` decides which keys there are, then the values that still differ.
    """
    plain, wanted = _composed([]), _composed(overrides)
    chosen = {
        group: option
        for group, option in wanted.hydra.runtime.choices.items()
        if group.partition("/")[0] not in LEFT_OUT and option != plain.hydra.runtime.choices.get(group)
    }
    with_groups = _composed([f"{group}={option}" for group, option in chosen.items()]) if chosen else plain
    values = _difference(_plain(wanted), _plain(with_groups))
    content: dict[str, Any] = {name: value for name, value in values.items() if name not in LEFT_OUT}
    if chosen:
        content = {"defaults": [{f"override /{group}": option} for group, option in chosen.items()], **content}
    return f"# @package _global_\n# {comment}\n{OmegaConf.to_yaml(OmegaConf.create(content))}"


def _composed(overrides: Sequence[str]) -> DictConfig:
    return compose("tune", list(overrides), return_hydra_config=True)


def _plain(composed: DictConfig) -> dict[str, Any]:
    """Without resolving: what refers to another key, or to this machine, still does in the file."""
    values = OmegaConf.to_container(without_sections(composed, *LEFT_OUT))
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def _difference(wanted: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """The part of `wanted` that is not `there`, section by section."""
    found: dict[str, Any] = {}
    for name, value in wanted.items():
        if isinstance(value, dict) and isinstance(there.get(name), dict):
            if part := _difference(value, there[name]):
                found[name] = part
        elif name not in there or value != there[name]:
            found[name] = value
    return found
