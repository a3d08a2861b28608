"""Compositions of many jobs: those that differ only in values of keys are composed once.

Hydra takes a tenth of a second to compose a configuration, and a sweep may have thousands of jobs.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.keys import keys
from mnist_mlp.config.overrides import key_of
from mnist_mlp.config.schema import Config


class JobCompositions:
    """The configurations that `compose` makes of the overrides of jobs."""

    def __init__(self, compose: Callable[[list[str]], DictConfig]) -> None:
        self.compose = compose
        self._composed: dict[tuple[str, ...], tuple[list[str], bytes]] = {}
        """key: the overrides of a job without the values that may differ; value: overrides and pickled configuration of
        the first such job"""

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """A new configuration, equal to `compose(overrides)`."""
        # An override that only gives a key a value can be exchanged for another value of that key. Not if a second
        # override, `+`, `~` or `section={...}` also sets that key: then their order matters.
        set_otherwise = [key_of(override) for override in overrides if _sets_keys_otherwise(override)]
        assignments = [_assignment(override) for override in overrides]
        times = Counter(assignment[0] for assignment in assignments if assignment is not None)
        exchangeable = [
            None
            if assignment is None
            or times[assignment[0]] > 1
            or any(_overlap(assignment[0], other) for other in set_otherwise)
            else assignment
            for assignment in assignments
        ]
        pattern = tuple(
            override if assignment is None else assignment[0]
            for override, assignment in zip(overrides, exchangeable, strict=True)
        )
        if pattern not in self._composed:
            self._composed[pattern] = list(overrides), pickle.dumps(self.compose(list(overrides)))
        first, content = self._composed[pattern]
        own: DictConfig = pickle.loads(content)  # safe: pickled two lines above; a fifth of the time of a deep copy
        triples = zip(first, overrides, exchangeable, strict=True)
        changed = [(before, override, assignment) for before, override, assignment in triples if before != override]
        for _, _, assignment in changed:
            assert assignment is not None
            OmegaConf.update(own, *assignment)
        if changed and "hydra" in own:
            _note_overrides(own.hydra, {before: override for before, override, _ in changed})
        return own


@lru_cache(maxsize=10_000)
def _assignment(override: str) -> tuple[str, Any] | None:
    """Key and value of an override that gives a key of the configuration a value; None if it may change other keys."""
    key = override.partition("=")[0]
    if key not in keys(Config):  # `+key`, `~key`, and groups
        return None
    value = OverridesParser.create().parse_override(override).value()
    return None if isinstance(value, dict) else (key, value)


def _sets_keys_otherwise(override: str) -> bool:
    """Whether an override as `++a.b=1`, `~a.b` or `a={b:1}` may set or delete a key that another one gives a value."""
    return override[0] in "+~" or override.partition("=")[2].lstrip().startswith("{")


def _overlap(one: str, other: str) -> bool:
    """Whether two names are the same, or one is a section with the other in it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _note_overrides(hydra: DictConfig, changed: dict[str, str]) -> None:
    """Replace overrides in `hydra`, the section of another job that was copied for this one.

    `changed`: from an override of that job to the one of this job in its place.
    """
    task, dirname_format = hydra.overrides.task, hydra.job.config.override_dirname
    for place, override in enumerate(list(task)):
        if override in changed:
            task[place] = changed[override]
    sorted_overrides = sorted(override for override in task if key_of(override) not in dirname_format.exclude_keys)
    hydra.job.override_dirname = dirname_format.item_sep.join(sorted_overrides).replace("=", dirname_format.kv_sep)
