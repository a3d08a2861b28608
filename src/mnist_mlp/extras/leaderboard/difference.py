"""Two runs side by side: what differs in their configurations, data, versions and commits, then every metric."""

from __future__ import annotations

from typing import Any

from mnist_mlp.extras.leaderboard.leaderboard import MISSING_VALUE, config_of, flattened
from mnist_mlp.extras.leaderboard.table import shown
from mnist_mlp.extras.text_table import shortened, text_table
from mnist_mlp.runs import directories
from mnist_mlp.runs.metric_text import is_share
from mnist_mlp.runs.result import RESULT_METRICS

CELL = 20  # characters of a value; two of them, their difference and the longest key stay within 80 columns


def difference(one: directories.Run, other: directories.Run) -> str:
    """A table of the keys, versions and commit that differ, then of every metric with its difference."""
    configs = [flattened(config_of(run)) for run in (one, other)]
    for config in configs:
        config.pop("resume", None)  # how a run was started; a resumed one ends as any other
    versions = [
        {
            "data SHA-256": run.result.get("data_sha256"),
            "git": run.result.get("git"),
            **(run.result.get("versions") or {}),
        }
        for run in (one, other)
    ]
    differing = [
        [name, shown(before), shown(after), ""]
        for left, right in (configs, versions)
        for name in dict.fromkeys([*left, *right])
        if (before := left.get(name, MISSING_VALUE)) != (after := right.get(name, MISSING_VALUE))
    ]
    numbers = [_numbers(run.result) for run in (one, other)]
    names = dict.fromkeys([*numbers[0], *numbers[1]])
    rows = [
        ["", "a", "b", "difference"],
        ["status", one.status, other.status, ""],
        *([name, *(shortened(cell, CELL) for cell in cells)] for name, *cells in differing),
        *(_compared(name, numbers[0].get(name), numbers[1].get(name)) for name in names),
    ]
    note = "\n\nThe two configurations are the same." if all(configs) and configs[0] == configs[1] else ""
    places = "\n".join(f"{letter}  {directories.shown(run.directory)}" for letter, run in (("a", one), ("b", other)))
    return f"{text_table(rows)}{note}\n\n{places}"


def _numbers(result: dict[str, Any]) -> dict[str, float | None]:
    metrics, seconds = result.get("metrics") or {}, result.get("seconds") or {}
    best_epoch = result.get("best_epoch")
    return {
        **{name: metrics.get(name) for name in dict.fromkeys([*RESULT_METRICS, *metrics])},
        "best epoch": None if best_epoch is None else best_epoch + 1,  # as training counts them
        **{name: result.get(name) for name in ("epochs", "parameters")},
        **{f"seconds/{name}": seconds.get(name) for name in ("fit", "total")},
    }


def _compared(name: str, before: float | None, after: float | None) -> list[str]:
    write = _writer(name, before if after is None else after)
    cells = [MISSING_VALUE if value is None else write(value, "") for value in (before, after)]
    change = "" if before is None or after is None else write(after - before, "+").replace("%", " points")
    return [name, *cells, change]


def _writer(name: str, value: float | None) -> Any:
    """A function from a value of this metric and a sign ("+" for a difference, else empty) to text.

    Counts are whole, shares in per cent, seconds to the tenth.
    """
    if isinstance(value, int):
        return lambda number, sign: f"{number:{sign},}"
    if name.startswith("seconds/"):
        return lambda number, sign: f"{number:{sign}.1f}"
    if is_share(name):
        return lambda number, sign: f"{100 * number:{sign}.2f}%"
    return lambda number, sign: f"{number:{sign}.4f}"
