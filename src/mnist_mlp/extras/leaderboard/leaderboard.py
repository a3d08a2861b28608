"""The leaderboard: runs that differ in their seed alone are one entry, and entries rank by validation.

Each data set has a leaderboard of its own: accuracies on different data are not comparable. Runs that did not measure
accuracy have another one. A leaderboard ranks by the metric that all of its runs monitored; by accuracy if they differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import keys_without_effect, with_legacy_defaults
from mnist_mlp.extras.leaderboard.statistics import Estimate, against_first
from mnist_mlp.runs import directories, record
from mnist_mlp.runs.metric_text import metric_text
from mnist_mlp.runs.monitored import ACCURACY, monitored, monitored_by_all, test_result

MISSING_VALUE = "–"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Completed runs of one configuration, one per seed, in the order of their seeds."""

    settings: Mapping[str, Any]
    """The keys in which the entries of the leaderboard differ, and the values here."""
    runs: Sequence[directories.Run]
    monitor: str = ACCURACY

    @cached_property
    def score(self) -> Estimate:
        """The metric that the rank goes by."""
        return Estimate.of([run.result["metrics"][self.monitor] for run in self.runs])

    @cached_property
    def score_by_seed(self) -> dict[int, float]:
        return dict(zip(self.seeds, self.score.values, strict=True))

    def metric(self, name: str) -> Estimate | None:
        """None where a run has no such metric: a search leaves the test set alone."""
        values = [run.result["metrics"].get(name) for run in self.runs]
        return None if None in values else Estimate.of([value for value in values if value is not None])

    @property
    def seeds(self) -> list[int]:
        return [run.result["seed"] for run in self.runs]

    @property
    def config(self) -> dict[str, Any]:
        return config_of(self.runs[0])

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
    """The data set on which all entries were trained and measured; of runs without accuracy, also the metric."""
    entries: Sequence[Entry]
    """At least one; the best on validation first."""
    repeated: int
    """Runs left out, as another one has the same configuration and the same seed: the same run twice is one run."""
    monitor: str
    mode: str
    """`max` or `min`: which end of `monitor` is the good one."""

    @property
    def keys(self) -> list[str]:
        return list(self.entries[0].settings)

    @cached_property
    def metrics(self) -> list[str]:
        """Metrics that a table shows: the one that ranks, then all others except those of training and the losses."""
        names = dict.fromkeys(name for entry in self.entries for name in entry.runs[0].result["metrics"])
        shown = [name for name in names if not name.startswith("train/") and not name.endswith("/loss")]
        return list(dict.fromkeys([self.monitor, *shown]))

    @cached_property
    def p_values(self) -> list[float | None]:
        """Of each entry's difference from the first, corrected by Holm.

        None for the first, and for an entry that shares fewer than two seeds with it.
        """
        if len(self.entries) == 1 or all(len(entry.runs) == 1 for entry in self.entries):
            return [None] * len(self.entries)
        sign = -1.0 if self.mode == "min" else 1.0
        return against_first(
            [{seed: sign * score for seed, score in entry.score_by_seed.items()} for entry in self.entries]
        )

    @property
    def tested(self) -> int:
        """How many entries the first could be compared with."""
        return sum(p is not None for p in self.p_values)

    @property
    def best_run(self) -> directories.Run:
        """The best seed of the first entry."""
        best = self.entries[0]
        place = (min if self.mode == "min" else max)(range(len(best.runs)), key=best.score.values.__getitem__)
        return best.runs[place]


class Board(NamedTuple):
    """What the runs of a leaderboard have in common."""

    title: str
    """the data set; of runs without accuracy, also the metric"""
    mode: str
    sha256: str | None
    """checksum of the data, which may change while name and path stay; None for runs of older versions"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    boards: Sequence[Leaderboard]
    """One for each data set, that of the newest run first."""
    unranked: Sequence[directories.Run]
    """Completed, but `lacking` something; without validation, for example."""
    unfinished: Sequence[directories.Run]


def compared(found: Iterable[directories.Run]) -> Comparison:
    """The completed runs, grouped and ranked; a search's pruned runs and failed ones count as unfinished."""
    by_board: dict[Board, list[directories.Run]] = {}
    unranked: list[directories.Run] = []
    unfinished: list[directories.Run] = []
    for run in found:
        if run.status != directories.COMPLETED:
            unfinished.append(run)
        elif lacking(run.result) is not None:
            unranked.append(run)
        else:
            by_board.setdefault(_board_of(run.result), []).append(run)
    _join_older_runs(by_board)
    newest_first = sorted(by_board, key=lambda board: max(map(_written, by_board[board])), reverse=True)
    boards = [_leaderboard(_title(board, by_board), by_board[board]) for board in newest_first]
    return Comparison(boards=boards, unranked=unranked, unfinished=unfinished)


def _join_older_runs(by_board: dict[Board, list[directories.Run]]) -> None:
    """Put runs without a checksum on the board of their data set, if there is one with a checksum and no other."""
    for older in [board for board in by_board if board.sha256 is None]:
        known = [board for board in by_board if board._replace(sha256=None) == older and board != older]
        if len(known) == 1:
            by_board[known[0]] += by_board.pop(older)


def _title(board: Board, boards: Collection[Board]) -> str:
    """The title of `board`, with what tells it from others of the same title."""
    same = [other for other in boards if other.title == board.title]
    parts = [board.mode] if len({other.mode for other in same}) > 1 else []
    if len({other.sha256 for other in same}) > 1:
        parts.append("no checksum" if board.sha256 is None else f"SHA-256 {board.sha256[:8]}...")
    return f"{board.title} ({', '.join(parts)})" if parts else board.title


def _leaderboard(data: str, complete: Sequence[directories.Run]) -> Leaderboard:
    groups: dict[str, dict[int, directories.Run]] = {}
    flat: dict[str, dict[str, Any]] = {}
    for run in sorted(complete, key=_preference):
        config = settings(config_of(run))
        name = json.dumps(config, sort_keys=True)
        flat[name] = config
        groups.setdefault(name, {})[run.result["seed"]] = run
    keys = differing(list(flat.values()))
    monitor, mode = monitored_by_all(complete)
    entries = [
        Entry(
            settings={key: flat[name].get(key, MISSING_VALUE) for key in keys},
            runs=[by_seed[seed] for seed in sorted(by_seed)],
            monitor=monitor,
        )
        for name, by_seed in groups.items()
    ]
    sign = 1.0 if mode == "min" else -1.0
    entries.sort(key=lambda entry: (sign * entry.score.mean, _loss(entry)))
    return Leaderboard(
        data=data,
        entries=entries,
        repeated=len(complete) - sum(len(entry.runs) for entry in entries),
        monitor=monitor,
        mode=mode,
    )


def lacking(result: Mapping[str, Any]) -> str | None:
    """What the result of a completed run lacks to be ranked, in words; None if nothing.

    A result of another program or of an old version may lack parts, and one without validation the metric.
    """
    parts = ("config", "metrics", "seconds", "seed", "parameters", "history")
    missing = [name for name in parts if result.get(name) is None]
    if not missing:
        missing += ["config.data.name"] if data_of(result["config"]) is None else []
        missing += ["seconds.total"] if "total" not in result["seconds"] else []
    if missing:
        return f"{directories.RESULT} lacks {', '.join(missing)}"
    if _comparable_by(result) is not None:
        return None
    validated = any(name.startswith("val/") and value is not None for name, value in result["metrics"].items())
    reason = f"no {' and no '.join(_ranking_metrics(result))}" if validated else "no validation"
    tested = test_result(result["config"], result["metrics"])
    return reason if tested is None else f"{reason}; {tested[0]} {metric_text(*tested)}"


def _ranking_metrics(result: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys((ACCURACY, monitored(result["config"])[0])))


def _comparable_by(result: Mapping[str, Any]) -> str | None:
    """The metric that decides which board a run is on: accuracy or, if the run did not measure it, the monitored one.

    None if it measured neither. A board may rank by another metric: see `monitored_by_all`.
    """
    return next((name for name in _ranking_metrics(result) if result["metrics"].get(name) is not None), None)


def _board_of(result: Mapping[str, Any]) -> Board:
    """The leaderboard for a result: runs without accuracy cannot be ranked beside runs with it."""
    metric, (monitor, mode) = _comparable_by(result), monitored(result["config"])
    data, sha256 = data_of(result["config"]), result.get("data_sha256")
    return Board(str(data), "max", sha256) if metric == ACCURACY else Board(f"{data}, by {monitor}", mode, sha256)


def data_of(config: Mapping[str, Any]) -> str | None:
    """The data set's name; with its path where the name is only a kind of source, as `folder` is.

    None for a configuration that this project did not write.
    """
    data = config.get("data")
    if not isinstance(data, dict) or "name" not in data:
        return None
    return f"{data['name']} {data['path']}" if data.get("path") else str(data["name"])


def _written(run: directories.Run) -> int:
    return (run.directory / directories.RESULT).stat().st_mtime_ns


def _preference(run: directories.Run) -> tuple[bool, int]:
    """Sort key for runs with the same configuration and seed, of which the highest is kept.

    A tested run beats an untested one, such as a trial of a search; then the newer wins.
    """
    return run.result["metrics"].get("test/acc") is not None, _written(run)


def _loss(entry: Entry) -> float:
    loss = entry.metric("val/loss")
    return loss.mean if loss else 0.0


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a run's configuration that decide what is computed, in dotted form, apart from the seed."""
    left_out = _left_out_of_settings()
    return {name: value for name, value in flattened(config).items() if name not in left_out}


@cache  # the schema takes milliseconds to read, and there may be thousands of runs
def _left_out_of_settings() -> frozenset[str]:
    """Keys that change no result, and the seed, in which the runs of an entry differ."""
    return keys_without_effect() | {"seed"}


def config_of(run: directories.Run) -> dict[str, Any]:
    """The configuration of a run, of a killed one too; empty if it left none that can be read.

    Keys that are newer than the run have their `legacy_default`, so that it is compared with runs of today.
    """
    if isinstance(found := run.result.get("config"), dict) and found:
        return with_legacy_defaults(found)
    try:
        started = record.read_run(run.directory)
    except ConfigError:
        started = None
    return with_legacy_defaults(started.config) if started else {}


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Sections unfolded: `{"model": {"loss": "nll"}}` to `{"model.loss": "nll"}`."""
    values: dict[str, Any] = {}
    for name, value in config.items():
        values |= flattened(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return values


def differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which some of the configurations differ, without those that follow from their section's `name`.

    `optimizer=adamw,sgd` changes six keys; `optimizer.name` alone says which.
    """
    names = list(dict.fromkeys(name for config in configs for name in config))
    columns = {name: [json.dumps(config.get(name, MISSING_VALUE)) for config in configs] for name in names}
    return [name for name, values in columns.items() if len(set(values)) > 1 and not _follows(name, columns)]


def _follows(name: str, columns: Mapping[str, list[str]]) -> bool:
    """Whether the `name` of its section determines this key: one value for each name in the columns."""
    chooser = name.rpartition(".")[0] + ".name"
    if name == chooser or chooser not in columns:
        return False
    pairs = set(zip(columns[chooser], columns[name], strict=True))
    return len(pairs) == len(set(columns[chooser]))
