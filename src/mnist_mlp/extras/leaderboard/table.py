"""The leaderboard and the difference of two runs as text, and the leaderboard as a CSV file."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_mlp.extras.leaderboard.command import command
from mnist_mlp.extras.leaderboard.leaderboard import NOT_IN_BOTH, Comparison, Entry, Leaderboard, flattened
from mnist_mlp.extras.leaderboard.statistics import Estimate
from mnist_mlp.runs import directories as runs
from mnist_mlp.runs.result import METRICS


def text(comparison: Comparison) -> str:
    """What a terminal shows: the entries, what the ranks are worth, the runs that did not complete, the best again."""
    boards, unfinished = comparison.boards, comparison.unfinished
    parts = []
    for board in boards:
        header = ["rank", *board.keys, "val acc %", "test acc %", "seeds", "parameters", "seconds"]
        table = columns([header, *(_row(rank, entry) for rank, entry in enumerate(board.entries, start=1))])
        parts.append(f"data set {board.data}:\n{table}" if len(boards) > 1 else table)
        parts.append("\n".join(remarks(board)))
    if unfinished:
        parts.append(f"not completed: {len(unfinished)}\n" + columns([_failure(run) for run in unfinished]))
    if boards:
        again = [f"  {command(board.entries[0].config, board.entries[0].seeds)}" for board in boards]
        parts.append("\n".join(["the best on validation again:", *again]))
    return "\n\n".join(parts)


def _row(rank: int, entry: Entry) -> list[str]:
    return [
        str(rank),
        *(shown(value) for value in entry.settings.values()),
        percent(entry.accuracy),
        percent(entry.metric("test/acc")),
        str(len(entry.runs)),
        f"{entry.parameters:,}",
        f"{entry.seconds:.1f}",
    ]


def remarks(board: Leaderboard) -> list[str]:
    """How the numbers came about, and what they do not say."""
    lines = ["Ranked on validation; the test set has no say. "]
    if any(entry.accuracy.half is not None for entry in board.entries):
        lines[0] += "Mean over seeds ± 95 % confidence interval (Student's t)."
    else:
        lines[0] += "One seed each, so how far chance goes is not known: add seed=0,1,2 to the command."
    if board.tied:
        others = "entry" if board.tied == 1 else "entries"
        lines.append(f"The interval of the first overlaps with that of {board.tied} other {others}: no clear winner.")
    if board.repeated:
        left_out = "1 run is" if board.repeated == 1 else f"{board.repeated} runs are"
        lines.append(
            f"{left_out} left out: of those with one configuration and seed, the newest that was tested counts."
        )
    return lines


def _failure(run: runs.Run) -> list[str]:
    return ["", run.status, str(run.directory), str(run.result.get("error") or "")]


def percent(estimate: Estimate | None) -> str:
    """A share in [0, 1] in per cent, without the sign, with half its confidence interval where there is one."""
    if estimate is None:
        return NOT_IN_BOTH
    half = "" if estimate.half is None else f" ± {100 * estimate.half:.2f}"
    return f"{100 * estimate.mean:.2f}{half}"


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of words, aligned: numbers to the right, and words to the left."""
    lines = [""] * len(rows)
    for index in range(len(rows[0])):
        cells = [row[index] for row in rows]
        width = max(map(len, cells))
        right = all(not cell or cell[0].isdigit() or cell[0] in "-+–" for cell in cells[1:]) and len(cells) > 1
        lines = [
            f"{line}  {cell:>{width}}" if right else f"{line}  {cell:<{width}}"
            for line, cell in zip(lines, cells, strict=True)
        ]
    return "\n".join(line[2:].rstrip() for line in lines)


def write_csv(comparison: Comparison, path: Path) -> None:
    """One line a run, with its entry's rank, mean and confidence interval beside its own numbers."""
    keys = list(dict.fromkeys(key for board in comparison.boards for key in board.keys))
    own = [*METRICS, "parameters", "epochs", "best_epoch", "seconds"]
    header = ["data set", "rank", *keys, "val/acc mean", "val/acc ci95", "test/acc mean", "test/acc ci95", "seed", *own]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*header, "status", "directory"])
        for board in comparison.boards:
            for rank, entry in enumerate(board.entries, start=1):
                config, test = flattened(entry.config), entry.metric("test/acc")
                shared = [
                    *(board.data, rank),
                    *(shown(config.get(key, NOT_IN_BOTH)) for key in keys),
                    *(entry.accuracy.mean, entry.accuracy.half),
                    *((test.mean, test.half) if test else (None, None)),
                ]
                for run in entry.runs:
                    result = run.result
                    numbers = [*(result["metrics"].get(name) for name in METRICS), *(result[name] for name in own[5:8])]
                    table.writerow(
                        [*shared, result["seed"], *numbers, result["seconds"]["total"], run.status, run.directory]
                    )
        for run in comparison.unfinished:
            table.writerow([*[None] * len(header), run.status, run.directory])


def difference(one: runs.Run, other: runs.Run) -> str:
    """Two runs side by side: what differs in their configurations, then every metric."""
    configs = [flattened(run.result.get("config", {})) for run in (one, other)]
    versions = [{"git": run.result.get("git"), **run.result.get("versions", {})} for run in (one, other)]
    rows = [["", str(one.directory), str(other.directory), "difference"], ["status", one.status, other.status, ""]]
    for left, right in (configs, versions):
        for name in dict.fromkeys([*left, *right]):
            before, after = left.get(name, NOT_IN_BOTH), right.get(name, NOT_IN_BOTH)
            if before != after:
                rows.append([name, shown(before), shown(after), ""])
    same = len(rows) == 2
    numbers = [_numbers(run.result) for run in (one, other)]
    rows += [_compared(name, numbers[0][name], numbers[1][name]) for name in numbers[0]]
    note = "\n\nThe two configurations are the same." if same else ""
    return columns(rows) + note


def _numbers(result: dict[str, Any]) -> dict[str, float | None]:
    metrics, seconds = result.get("metrics", {}), result.get("seconds", {})
    return {
        **{name: metrics.get(name) for name in METRICS},
        **{name: result.get(name) for name in ("best_epoch", "epochs", "parameters")},
        **{f"seconds/{name}": seconds.get(name) for name in ("fit", "total")},
    }


def _compared(name: str, before: float | None, after: float | None) -> list[str]:
    if before is None or after is None:
        return [name, shown(before), shown(after), ""]
    whole = isinstance(before, int) and isinstance(after, int)
    return [name, *(f"{value:,}" if whole else f"{value:.4f}" for value in (before, after)), _signed(before, after)]


def _signed(before: float, after: float) -> str:
    if isinstance(before, int) and isinstance(after, int):
        return f"{after - before:+,}"
    return f"{after - before:+.4f}"
