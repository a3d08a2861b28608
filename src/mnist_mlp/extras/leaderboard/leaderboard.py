"""Runs compared: those that differ in their seed alone are one entry, and entries rank by validation accuracy.

Each data set has a leaderboard of its own: an accuracy on one says nothing about an accuracy on another.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mnist_mlp.config.errors import ResultError
from mnist_mlp.extras.leaderboard.statistics import Estimate
from mnist_mlp.runs import directories as runs

# Where a run lies and what it shows; two runs that differ in nothing else train the same network.
OF_NO_CONSEQUENCE = (
    "resume",
    "data.dir",
    "logger.",
    "dashboard.",
    "checkpoint.",
    "trainer.enable_",
    "trainer.profiler",
)
NOT_IN_BOTH = "–"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Completed runs of one configuration, one a seed, in the order of their seeds."""

    settings: Mapping[str, Any]
    """The keys in which the entries of the leaderboard differ, and the values here."""
    runs: Sequence[runs.Run]

    @cached_property
    def accuracy(self) -> Estimate:
        """On validation; what the rank goes by."""
        return Estimate.of([run.result["metrics"]["val/acc"] for run in self.runs])

    def metric(self, name: str) -> Estimate | None:
        """None where a run has no such metric: a search leaves the test set alone."""
        values = [run.result["metrics"].get(name) for run in self.runs]
        return None if None in values else Estimate.of([value for value in values if value is not None])

    @property
    def seeds(self) -> list[int]:
        return [run.result["seed"] for run in self.runs]

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.runs[0].result["config"]
        return config

    @property
    def parameters(self) -> int:
        return int(self.runs[0].result["parameters"])

    @property
    def seconds(self) -> float:
        """Mean of the whole run: setting up, training, testing."""
        return math.fsum(run.result["seconds"]["total"] for run in self.runs) / len(self.runs)


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    data: str
    """The data set on which all entries were trained and measured."""
    entries: Sequence[Entry]
    """At least one; the best on validation first."""
    repeated: int
    """Runs left out, as another one has the same configuration and the same seed: the same run twice is one run."""

    @property
    def keys(self) -> list[str]:
        return list(self.entries[0].settings)

    @property
    def tied(self) -> int:
        """How many entries after the first have an interval that overlaps with the first one's."""
        if self.entries[0].accuracy.half is None:
            return 0
        least = self.entries[0].accuracy.interval[0]
        return sum(entry.accuracy.interval[1] >= least for entry in self.entries[1:])


@dataclass(frozen=True, kw_only=True)
class Comparison:
    boards: Sequence[Leaderboard]
    """One for each data set, that of the newest run first."""
    unfinished: Sequence[runs.Run]


def compared(found: Iterable[runs.Run]) -> Comparison:
    """The completed runs, grouped and ranked; a search's pruned runs and failed ones are told as unfinished."""
    by_data: dict[str, list[runs.Run]] = {}
    unfinished: list[runs.Run] = []
    for run in found:
        if run.status == runs.COMPLETED and _ranks(run):
            by_data.setdefault(run.result["config"]["data"]["name"], []).append(run)
        else:
            unfinished.append(run)
    newest_first = sorted(by_data, key=lambda data: max(map(_written, by_data[data])), reverse=True)
    return Comparison(boards=[_leaderboard(data, by_data[data]) for data in newest_first], unfinished=unfinished)


def _leaderboard(data: str, complete: Sequence[runs.Run]) -> Leaderboard:
    groups: dict[str, dict[int, runs.Run]] = {}
    flat: dict[str, dict[str, Any]] = {}
    for run in sorted(complete, key=_worth):
        config = settings(run.result["config"])
        name = json.dumps(config, sort_keys=True)
        flat[name] = config
        groups.setdefault(name, {})[run.result["seed"]] = run
    keys = differing(list(flat.values()))
    entries = [
        Entry(
            settings={key: flat[name].get(key, NOT_IN_BOTH) for key in keys},
            runs=[by_seed[seed] for seed in sorted(by_seed)],
        )
        for name, by_seed in groups.items()
    ]
    entries.sort(key=_rank)
    return Leaderboard(
        data=data,
        entries=entries,
        repeated=len(complete) - sum(len(entry.runs) for entry in entries),
    )


def _ranks(run: runs.Run) -> bool:
    return (run.result.get("metrics") or {}).get("val/acc") is not None


def _written(run: runs.Run) -> int:
    return (run.directory / runs.RESULT).stat().st_mtime_ns


def _worth(run: runs.Run) -> tuple[bool, int]:
    """Of runs with one configuration and seed the highest stays: tested before not, as a search leaves its trials."""
    return run.result["metrics"].get("test/acc") is not None, _written(run)


def _rank(entry: Entry) -> tuple[float, float]:
    loss = entry.metric("val/loss")
    return -entry.accuracy.mean, loss.mean if loss else 0.0


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a run's configuration that decide what is computed, in dotted form, apart from the seed."""
    return {
        name: value
        for name, value in flattened(config).items()
        if name != "seed" and not name.startswith(OF_NO_CONSEQUENCE)
    }


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Sections unfolded: `{"model": {"loss": "nll"}}` to `{"model.loss": "nll"}`."""
    values: dict[str, Any] = {}
    for name, value in config.items():
        values |= flattened(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return values


def differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which some of the configurations differ, without those that follow from their section's `name`.

    optimizer=adamw,sgd changes six keys; `optimizer.name` tells it all.
    """
    names = list(dict.fromkeys(name for config in configs for name in config))
    columns = {name: [json.dumps(config.get(name, NOT_IN_BOTH)) for config in configs] for name in names}
    return [name for name, values in columns.items() if len(set(values)) > 1 and not _follows(name, columns)]


def _follows(name: str, columns: Mapping[str, list[str]]) -> bool:
    chooser = name.rpartition(".")[0] + ".name"
    if name == chooser or chooser not in columns:
        return False
    pairs = set(zip(columns[chooser], columns[name], strict=True))
    return len(pairs) == len(set(columns[chooser]))


def find(places: Sequence[Path]) -> list[runs.Run]:
    """The runs meant by `places`: run directories, sweep directories, or folders with such somewhere below.

    Raises:
        ResultError: a place does not exist, or holds no run.
    """
    found: dict[Path, runs.Run] = {}
    for place in places:
        here = list(_below(place))
        if not here:
            what = "no run in it" if place.is_dir() else "no such directory"
            raise ResultError(f"{place}: expected the directory of a run or of a sweep, got {what}")
        found |= {run.directory.resolve(): run for run in here}
    return list(found.values())


def _below(place: Path) -> Iterable[runs.Run]:
    for directory, folders, files in os.walk(place):
        folders.sort()
        if "multirun.yaml" in files:  # of a sweep, a job that left no result is told too
            folders.clear()
            yield from runs.jobs(Path(directory))
        elif runs.RESULT in files:
            folders.clear()
            yield runs.read(Path(directory))
