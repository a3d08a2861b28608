"""Kill a training run (SIGKILL) at random moments, resume it, and compare with one that was left alone.

`PYTHONPATH=src:tests python tests/helpers/kill_and_resume.py --runs 50` prints how many of the runs ended in the same
bits: weights, optimizer state, counters, history and metrics. Half of the kills wait for a checkpoint that is being
written at that moment.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from helpers.child_processes import in_child
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.compose import parse
from mnist_mlp.config.keys import keys
from mnist_mlp.config.schema import CONFIGS, Config
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.training import train

OVERRIDES = [
    "data=synthetic",
    "augment=none",
    "data.batch_size=24",
    "model.hidden=[32,16]",
    "model.dropout=0.2",
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=7",
    "trainer.enable_progress_bar=false",
    "trainer.limit_test_batches=2",
    "checkpoint.every_seconds=0.03",
    "logger=none",
]
# Whatever else a run may carry from step to step, or draw.
EVERYTHING = ("augment=elastic", "averaging.decay=0.95")


@cache
def _composed_once(*overrides: str) -> Config:
    """Equal to `composed(*overrides)`; Hydra composes once for all that choose the same options of groups."""
    parser = OverridesParser.create()
    parsed = [parser.parse_override(override) for override in overrides]
    own = [override for override in parsed if override.key_or_group in keys() and not override.is_add()]
    with_groups = _of_groups(*(override.input_line for override in parsed if override not in own))
    composition = deepcopy(with_groups)
    for override in own:
        OmegaConf.update(composition, override.key_or_group, override.value())
    return parse(composition, Config)


@cache
def _of_groups(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", list(overrides))


def configuration(*overrides: str) -> Config:
    return deepcopy(_composed_once(*OVERRIDES, *overrides))


def train_in_child(config: Config, directory: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """The id of a process that trains."""

    def work() -> None:
        # Where the fork stands depends on what ran before; no bit of the result may.
        random.seed()
        torch.manual_seed(random.randrange(2**32))
        prepare()
        train(config, directory)

    return in_child(work)


def run_to_the_end(config: Config, directory: Path, prepare: Callable[[], None] = lambda: None) -> None:
    _, status = os.waitpid(train_in_child(config, directory, prepare), 0)
    _require_success(directory, status)


def _require_success(directory: Path, status: int) -> None:
    if status != 0:
        raise RuntimeError(f"training in {directory} ended with {os.waitstatus_to_exitcode(status)}")


def kill_once(
    config: Config,
    directory: Path,
    longest: float,
    chance: random.Random,
    number: int = signal.SIGKILL,
    prepare: Callable[[], None] = lambda: None,
) -> bool:
    """Start or go on, and kill at a random moment within `longest` seconds; False where the run was done before."""
    child = train_in_child(config, directory, prepare)
    moment = time.monotonic() + chance.uniform(0, longest)
    while_writing = chance.random() < 0.5
    while time.monotonic() < moment or (while_writing and not list(directory.glob("checkpoints/.*"))):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _require_success(directory, status)
            return False
        time.sleep(0.0005)
    os.kill(child, number)
    os.waitpid(child, 0)
    return True


def difference(one: Path, other: Path) -> str | None:
    """What differs between two finished runs, or None: last and best checkpoint, history and metrics."""
    for name in (checkpoint_file.LAST, checkpoint_file.BEST):
        left, right = (checkpoint_file.read(path / directories.CHECKPOINTS / name) for path in (one, other))
        if found := _first_difference(left, right, name):
            return found
    left, right = (json.loads((path / directories.RESULT).read_text()) for path in (one, other))
    return _first_difference(
        {key: left[key] for key in ("status", "metrics", "history", "best_epoch", "epochs")},
        {key: right[key] for key in ("status", "metrics", "history", "best_epoch", "epochs")},
        directories.RESULT,
    )


def _first_difference(left: Any, right: Any, where: str) -> str | None:
    if where.endswith(("seconds", "/resume")):
        return None
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        pairs = [(left[key], right[key], f"{where}/{key}") for key in left]
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        pairs = [(*pair, f"{where}/{index}") for index, pair in enumerate(zip(left, right, strict=True))]
    elif isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return None if torch.equal(left, right) else where
    else:
        return None if left == right else f"{where}: {left} against {right}"
    return next((found for pair in pairs if (found := _first_difference(*pair))), None)


def survive(
    directory: Path,
    reference: Path,
    longest: float,
    chance: random.Random,
    kills: int = 1,
    prepare: Callable[[], None] = lambda: None,
    overrides: tuple[str, ...] = (),
) -> str | None:
    """Train in `directory` with up to `kills` kills on the way; the difference from the reference run."""
    directory.mkdir()
    config = configuration(*overrides)
    for _ in range(kills):
        if not kill_once(config, directory, longest, chance, prepare=prepare):
            return difference(directory, reference)
        config = replace(config, resume=str(directory))
    run_to_the_end(config, directory, prepare)
    return difference(directory, reference)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=50)
    arguments.add_argument("--kills", type=int, default=1, help="kills in each run")
    arguments.add_argument("--seed", type=int, default=0, help="of the random moments")
    given = arguments.parse_args()
    logging.getLogger("mnist_mlp").setLevel(logging.ERROR)
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference"
        reference.mkdir()
        began = time.monotonic()
        run_to_the_end(configuration(*EVERYTHING), reference)
        longest = time.monotonic() - began
        same = 0
        for number in range(given.runs):
            found = survive(Path(folder) / str(number), reference, longest, chance, given.kills, overrides=EVERYTHING)
            same += found is None
            print(f"run {number + 1:>3}: {found or 'identical'}", flush=True)
        print(f"{same} of {given.runs} identical to the run that was left alone ({longest:.1f} s)")
    sys.exit(same != given.runs)


if __name__ == "__main__":
    main()
