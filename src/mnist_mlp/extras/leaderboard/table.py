"""The leaderboard as text, at most 80 columns wide, and how its numbers are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mnist_mlp.extras.leaderboard.command import checkpoint, command
from mnist_mlp.extras.leaderboard.conclusion import conclusion
from mnist_mlp.extras.leaderboard.leaderboard import MISSING_VALUE, Comparison, Entry, Leaderboard, lacking
from mnist_mlp.extras.leaderboard.statistics import Estimate
from mnist_mlp.extras.text_table import WIDTH, shortened, text_table, widest, wrapped
from mnist_mlp.runs import directories
from mnist_mlp.runs.command_line import in_lines
from mnist_mlp.runs.metric_text import is_share

ROWS = 50
"""Entries, and runs that are not ranked, that a terminal shows; files have all of them."""


def text(comparison: Comparison) -> str:
    """What a terminal shows: the entries, what can be concluded, the runs that are not ranked, and the best run with
    the command that trains it again.
    """
    parts = []
    for board in comparison.boards:
        table = entries_table(board)
        parts.append(f"data set {board.data}:\n{table}" if len(comparison.boards) > 1 else table)
        parts.append("\n".join(map(wrapped, remarks(board))))
    for title, runs in (("not ranked", comparison.unranked), ("not completed", comparison.unfinished)):
        if runs:
            parts.append(_without_rank(title, runs))
    if comparison.boards:
        parts.append("\n\n".join(_best(board, titled=len(comparison.boards) > 1) for board in comparison.boards))
    return "\n\n".join(parts)


def entries_table(board: Leaderboard) -> str:
    """Each entry in a line, with whole names of keys, short ones, or settings on lines of their own: what fits."""
    shown_entries = board.entries[:ROWS]
    numbers = [_numbers(board, rank) for rank in range(len(shown_entries))]
    hidden = len(board.entries) - len(shown_entries)
    end = f"\n... and {hidden:,} more: compare.py --csv and --json write all of them" if hidden else ""
    values = [[shown(entry.settings[key]) for key in board.keys] for entry in shown_entries]
    for names in (board.keys, short_names(board.keys)):
        for last in (None, -1, -2):  # seconds and parameters give way first
            rows = [["rank", *names, *numbers_header(board)[:last]]]
            rows += [
                [str(rank), *own, *row[:last]]
                for rank, (own, row) in enumerate(zip(values, numbers, strict=True), start=1)
            ]
            table = text_table(rows)
            if widest(table) <= WIDTH:
                return table + end
    table = text_table([["rank", *numbers_header(board)], *([str(rank), *row] for rank, row in enumerate(numbers, 1))])
    header, *lines = table.splitlines()
    below = [_settings_line(entry) for entry in shown_entries]
    return "\n".join([header, *(f"{line}\n{words}" for line, words in zip(lines, below, strict=True))]) + end


def _settings_line(entry: Entry) -> str:
    names = short_names(list(entry.settings))
    words = [f"{name}={shown(value)}" for name, value in zip(names, entry.settings.values(), strict=True)]
    return wrapped("      " + " ".join(shortened(word, WIDTH - 8) for word in words), indent="      ")


def short_names(keys: Sequence[str]) -> list[str]:
    """`lr` for `optimizer.lr`, `optimizer` for `optimizer.name`; the whole name if two keys have the same short one."""
    ends = [key.rpartition(".")[2] for key in keys]
    sections = [key.rpartition(".")[0] for key in keys]
    return [
        section if end == "name" and section else end if ends.count(end) == 1 else key
        for key, section, end in zip(keys, sections, ends, strict=True)
    ]


def numbers_header(board: Leaderboard) -> list[str]:
    tested = ["p (Holm)"] if board.tested else []
    return [*(metric_title(name) for name in board.metrics), *tested, "seeds", "parameters", "seconds"]


def _numbers(board: Leaderboard, index: int) -> list[str]:
    entry = board.entries[index]
    tested = [p_value(board.p_values[index])] if board.tested else []
    return [
        *(metric_value(name, entry.metric(name)) for name in board.metrics),
        *tested,
        str(len(entry.runs)),
        f"{entry.parameters:,}",
        f"{entry.seconds:.1f}",
    ]


def remarks(board: Leaderboard) -> list[str]:
    """How the numbers came about, and what they allow to conclude."""
    ranked = f"Ranked by {board.monitor}; the test set is not used for ranking."
    if any(entry.score.half is not None for entry in board.entries):
        ranked += " Mean over seeds ± 95 % confidence interval (Student's t)."
    lines = [ranked, conclusion(board)]
    if board.repeated:
        left_out = "1 run is" if board.repeated == 1 else f"{board.repeated:,} runs are"
        lines.append(
            f"{left_out} left out as repeats: of those with the same configuration and seed, the newest tested one "
            "counts."
        )
    return lines


def _without_rank(title: str, found: Sequence[directories.Run]) -> str:
    lines = [f"{title}: {len(found):,}"]
    for run in found[:ROWS]:
        lines.append(f"  {run.status}  {directories.shown(run.directory)}")
        if error := reason(run):
            lines.append(wrapped(f"    {error}", indent="    "))
    if len(found) > ROWS:
        lines.append(f"  ... and {len(found) - ROWS:,} more")
    return "\n".join(lines)


def reason(run: directories.Run) -> str:
    """Why a run has no rank, in one line; empty if that is not known."""
    lacks = lacking(run.result) if run.status == directories.COMPLETED else None
    return " ".join((lacks or run.damage or run.result.get("error") or "").split())


def _best(board: Leaderboard, *, titled: bool) -> str:
    best, run = board.entries[0], board.best_run
    of = f" of {board.data}" if titled else ""
    score = metric_value(board.monitor, Estimate.of([run.result["metrics"][board.monitor]]), unit=True)
    return "\n".join(
        [
            f"best run{of}: {score} {board.monitor}, epoch {epoch(run)}",
            f"  {directories.shown(run.directory)}",
            *(
                [f"  {checkpoint(run)}"]
                if (run.directory / directories.CHECKPOINTS / directories.BEST).exists()
                else []
            ),
            "train it again:",
            in_lines(command(best.config, best.seeds)),
        ]
    )


def epoch(run: directories.Run) -> str:
    """The best epoch and how many there were, counted from one as training prints them; result.json counts from 0."""
    best, every = run.result.get("best_epoch"), run.result.get("epochs")
    return f"{every}" if best is None else f"{best + 1} of {every}"


def metric_title(metric: str) -> str:
    """`val acc %` for `val/acc`."""
    return metric.replace("/", " ") + (" %" if is_share(metric) else "")


def metric_value(metric: str, estimate: Estimate | None, *, unit: bool = False) -> str:
    """The mean, with half its confidence interval where there is one; in per cent, without the sign, where a share."""
    if estimate is None:
        return MISSING_VALUE
    scale, digits = (100, 2) if is_share(metric) else (1, 4)
    half = "" if estimate.half is None else f" ± {scale * estimate.half:.{digits}f}"
    return f"{scale * estimate.mean:.{digits}f}{half}" + ("%" if unit and is_share(metric) else "")


def p_value(p: float | None) -> str:
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
