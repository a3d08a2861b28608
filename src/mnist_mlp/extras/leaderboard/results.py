"""Results as data: every run in a row, for a notebook, a spreadsheet or another program.

    from mnist_mlp.extras.leaderboard.results import results
    frame = results("outputs/multirun/<time>")
    frame.groupby("optimizer.lr")["test/acc"].agg(["mean", "std"])
    curves = [column for column in frame if column.startswith("history/")]
    frame.explode(curves)                # a row for each epoch of each run

Accuracies are shares in [0, 1], as in `result.json`; epochs count from one, as training prints them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_mlp.config.errors import require
from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.leaderboard import (
    Comparison,
    Entry,
    Leaderboard,
    compared,
    config_of,
    data_of,
    flattened,
)
from mnist_mlp.extras.leaderboard.table import shown
from mnist_mlp.runs import directories
from mnist_mlp.runs.result import RESULT_METRICS

if TYPE_CHECKING:
    import pandas


def results(*directories: str | Path) -> pandas.DataFrame:
    """A row for each run in or below `directories`: the best configuration first, then runs that are not ranked.

    Columns: `data`, `rank`, every key of the configuration in dotted form (lists as text, so that they group), mean,
    half confidence interval and p-value of the entry, `seed`, metrics, `epochs`, `best_epoch`, `parameters`,
    `seconds`, `status`, `error`, `directory`, and the learning curves as lists, in `history/<metric>`.

    Raises:
        MissingPackageError: pandas is not installed.
        ResultError: a directory does not exist, or holds no run.
    """
    require("pandas")
    import pandas

    return pandas.DataFrame(list(records(compared(find([Path(place) for place in directories])))))


def records(comparison: Comparison, *, keys: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """A flat record for each run, with the configuration keys in `keys`; None: all of them."""
    # Every record has all curves, in it as lists of the same length, so that a data frame can be exploded by them.
    curves = _names_of_curves(comparison)
    for board in comparison.boards:
        for rank, entry in enumerate(board.entries, start=1):
            outcome = _outcome(board, entry, rank)
            for run in entry.runs:
                yield {"data": board.data, "rank": rank, **_settings(run, keys), **outcome, **_of_run(run, curves)}
    for run in (*comparison.unranked, *comparison.unfinished):
        yield {"data": data_of(config_of(run)), "rank": None, **_settings(run, keys), **_of_run(run, curves)}


def _settings(run: directories.Run, keys: list[str] | None) -> dict[str, Any]:
    config = {
        name: shown(value) if isinstance(value, list) else value
        for name, value in flattened(config_of(run)).items()
        if name != "seed"
    }
    return config if keys is None else {key: config.get(key) for key in keys}


def _outcome(board: Leaderboard, entry: Entry, rank: int) -> dict[str, Any]:
    """What the runs of an entry have in common, the same in each of their rows."""
    numbers: dict[str, Any] = {}
    for name in board.metrics:
        estimate = entry.metric(name)
        numbers[f"{name} mean"] = estimate.mean if estimate else None
        numbers[f"{name} ci95"] = estimate.half if estimate else None
    return {**numbers, "p_value": board.p_values[rank - 1]}


def _of_run(run: directories.Run, curves: Iterable[str]) -> dict[str, Any]:
    result = run.result
    metrics: Mapping[str, Any] = result.get("metrics") or {}
    best_epoch, seconds = result.get("best_epoch"), result.get("seconds") or {}
    return {
        "seed": result.get("seed"),
        **{name: metrics.get(name) for name in dict.fromkeys([*RESULT_METRICS, *metrics])},
        "epochs": result.get("epochs"),
        "best_epoch": None if best_epoch is None else best_epoch + 1,
        "parameters": result.get("parameters"),
        "seconds": seconds.get("total"),
        "status": run.status,
        "error": run.damage or result.get("error"),
        "directory": str(run.directory),
        **_curves(_history(run), curves),
    }


def _runs(comparison: Comparison) -> list[directories.Run]:
    """All of them, in the order of `records`."""
    ranked = [run for board in comparison.boards for entry in board.entries for run in entry.runs]
    return [*ranked, *comparison.unranked, *comparison.unfinished]


def _names_of_curves(comparison: Comparison) -> Iterable[str]:
    rows = (row for run in _runs(comparison) for row in _history(run))
    return dict.fromkeys(["epoch", *(name for row in rows for name in row)])


def _history(run: directories.Run) -> list[dict[str, Any]]:
    return run.result.get("history") or []


def _curves(history: list[dict[str, Any]], names: Iterable[str]) -> dict[str, list[Any]]:
    return {f"history/{name}": [_value(row, name) for row in history] for name in names}


def _value(row: Mapping[str, Any], name: str) -> Any:
    return row["epoch"] + 1 if name == "epoch" else row.get(name)


def write_csv(comparison: Comparison, path: Path) -> None:
    """A row for each run with the keys that differ, its numbers, and its learning curves as lists in JSON."""
    keys = list(dict.fromkeys(key for board in comparison.boards for key in board.keys))
    rows = list(records(comparison, keys=keys))
    header = dict.fromkeys(name for row in rows for name in row)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(header), restval="")
        table.writeheader()
        table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    return shown(value) if isinstance(value, list | bool) else value


def write_json(comparison: Comparison, path: Path) -> None:
    """A list with an object for each run: its numbers, its whole configuration, and its history epoch by epoch."""
    rows = []
    names = _names_of_curves(comparison)
    for record, run in zip(records(comparison, keys=[]), _runs(comparison), strict=True):
        flat = {name: value for name, value in record.items() if not name.startswith("history/")}
        history = [{name: _value(row, name) for name in names} for row in _history(run)]
        rows.append({**flat, "history": history, "config": config_of(run) or None})
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
