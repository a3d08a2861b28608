"""A small search, begun as tune.py begins it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.config.compose import parse
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.extras.tuning.search import search
from mnist_mlp.extras.tuning.space import SearchSpace
from mnist_mlp.extras.tuning.study import SharedStudy
from mnist_mlp.runs import directories

SMALL = (
    "data=synthetic",
    "model.hidden=[16]",
    "model.dropout=0.0",
    "data.batch_size=200",
    "trainer.max_epochs=3",
    "trainer.enable_progress_bar=false",
    "logger=none",
    "threads=1",
    "tune.trials=6",
    "tune.startup=3",
    "tune.warmup=1",
)


@contextmanager
def space(*overrides: str) -> Iterator[tuple[TuneConfig, SearchSpace]]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config, searched = _composed_once(overrides)
        yield deepcopy(config), searched


@cache
def _composed_once(overrides: tuple[str, ...]) -> tuple[TuneConfig, SearchSpace]:
    """Within Hydra's initialization, which each use needs; composing takes longer than most of what is tested."""
    config = parse(compose("tune", list(overrides)), TuneConfig)
    return config, SearchSpace.of(config.tune.space, overrides)


def search_in(directory: Path, *overrides: str) -> str:
    """Run the small search to its end; its report."""
    directory.mkdir(exist_ok=True)
    with space(*SMALL, *overrides) as (config, searched):
        return search(config, directory, searched)


@contextmanager
def study_in(directory: Path, *overrides: str) -> Iterator[SharedStudy]:
    """The study of the small search, opened without working on it."""
    directory.mkdir(exist_ok=True)
    with space(*SMALL, *overrides) as (config, searched):
        yield SharedStudy(directory, config, searched)


def outcomes(directory: Path, *overrides: str) -> list[tuple[Any, ...]]:
    """What the study knows of each trial: number, state, value, parameters, accuracy of each epoch."""
    with study_in(directory, *overrides) as study:
        return [(t.number, t.state, t.value, t.params, t.intermediate_values) for t in study.study.trials]


def result(trial_directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((trial_directory / directories.RESULT).read_text())
    return content
