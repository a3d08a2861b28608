"""The leaderboard as one self-contained page that a phone shows too: a table to sort, and plots to point at."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from mnist_mlp.extras.html_page import page, scrollable, section
from mnist_mlp.extras.leaderboard.colours import colour
from mnist_mlp.extras.leaderboard.command import checkpoint, command
from mnist_mlp.extras.leaderboard.leaderboard import Comparison, Entry, Leaderboard
from mnist_mlp.extras.leaderboard.table import (
    epoch,
    metric_title,
    metric_value,
    numbers_header,
    p_value,
    reason,
    remarks,
    short_names,
    shown,
)
from mnist_mlp.runs import directories

ROWS = 500
"""Entries, and runs that are not ranked, in a table of the page."""
STYLE = """
tr.best td { font-weight: 600; } td.error { white-space: normal; min-width: 16rem; }
th button { all: unset; cursor: pointer; } th button:hover { text-decoration: underline; }
th[aria-sort] button::after { content: " \\2193"; } th[aria-sort=descending] button::after { content: " \\2191"; }
.dot { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .5rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
.plots svg { width: 100%; height: auto; max-width: 35rem; } svg text { font-family: inherit; }
.wide svg.whole { min-width: 34rem; width: 100%; max-width: 52rem; height: auto; }
.chosen path, .chosen use, .chosen line { stroke-width: 3.5px !important; } tr.chosen td { background: var(--card); }
.tip { display: none; position: fixed; max-width: min(26rem, 90vw); padding: .4rem .7rem; font-size: .88rem;
       background: var(--ink); color: var(--ground); border-radius: .3rem;
       pointer-events: none; white-space: pre-line; }
"""
SCRIPT = Path(__file__).with_name("report.js")


def write_report(comparison: Comparison, path: Path) -> None:
    """Write the page.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(document(comparison, path.parent), encoding="utf-8")


def document(comparison: Comparison, folder: Path) -> str:
    """The whole page, to lie in `folder`, from where its links lead to the runs."""
    boards = comparison.boards
    titles = [_title(board) for board in boards] or ["No run is ranked"]
    title = titles[0] if len(titles) == 1 else f"Runs on {' and '.join(board.data for board in boards)}"
    parts = [] if boards else [f"<h1>{title}</h1>"]
    for number, board in enumerate(boards):
        parts += _board(board, folder, number)
    for name, runs in (("Not ranked", comparison.unranked), ("Not completed", comparison.unfinished)):
        if runs:
            parts.append(section(f"{name}: {len(runs):,}", _without_rank(runs, folder), *_cut(len(runs), "runs")))
    return page(title, parts, style=STYLE, script=SCRIPT.read_text(encoding="utf-8"))


def _board(board: Leaderboard, folder: Path, number: int) -> Iterator[str]:
    seeds = len({seed for entry in board.entries for seed in entry.seeds})
    completed = sum(len(entry.runs) for entry in board.entries)
    yield f"<h1>{escape(_title(board))}</h1>"
    yield (
        f'<p class="faint">{_count(completed, "run")} of {_count(len(board.entries), "configuration")}, '
        f"{_count(seeds, 'seed')}, on {escape(board.data)}</p>"
    )
    run = board.best_run
    again = shlex.join(command(board.entries[0].config, board.entries[0].seeds))
    kept = (run.directory / directories.CHECKPOINTS / directories.BEST).exists()  # not after sweep.keep=results
    again = f"{checkpoint(run)}\n{again}" if kept else again
    place = f"{_link(run, folder, str(directories.shown(run.directory)))}, epoch {epoch(run)}"
    yield section(
        "The best run",
        f"<p>{place}</p><pre>{escape(again)}</pre>",
        "Its checkpoint, and the command that trains it again:" if kept else "The command that trains it again:",
    )
    yield section("Leaderboard", _table(board, folder, number), *remarks(board), *_cut(len(board.entries), "entries"))
    yield from _plots(board, number)


def _plots(board: Leaderboard, number: int) -> Iterator[str]:
    from mnist_mlp.extras.leaderboard import plots  # Matplotlib takes long to import

    figures = plots.Figures(board, number)
    left_out = figures.left_out
    some = (
        [f"{left_out:,} of the entries below the coloured ones are not drawn; those drawn are evenly spread."]
        if left_out
        else []
    )
    if curves := figures.learning_curves():
        note = "Mean over seeds and the range that they cover; colours as in the leaderboard."
        yield section("Learning curves", f'<div class="plots">{"".join(curves)}</div>', note, *some)
    else:
        yield section("Learning curves", "", "One epoch each, so there is no curve.")
    if board.keys:
        note = "Every configuration once in each panel; small grey dots are single runs."
        yield section("By setting", f'<div class="plots">{"".join(figures.by_setting())}</div>', note, *some)
    if len(board.keys) > 1:
        note = "Parallel coordinates: one line per configuration, from its settings to its score; the best is bold."
        yield section(
            "All settings together", scrollable(figures.parallel_coordinates(), "All settings together"), note, *some
        )
    note = "Seconds of the whole run, on the machine that ran it; colours as in the leaderboard."
    yield section("Against time", f'<div class="plots">{figures.score_against_seconds()}</div>', note, *some)


def _title(board: Leaderboard) -> str:
    best = board.entries[0]
    named = ", ".join(
        f"{name} {shown(value)}" for name, value in zip(short_names(board.keys), best.settings.values(), strict=True)
    )
    score = metric_value(board.monitor, best.score, unit=True)
    what = "on validation" if board.monitor == "val/acc" else board.monitor
    return f"{score} {what}" + (f" with {named}" if named else "")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _table(board: Leaderboard, folder: Path, number: int) -> str:
    def head(name: str, *, numeric: bool) -> str:
        return f'<th scope="col"{" class=number" if numeric else ""}><button>{escape(name)}</button></th>'

    heads = [head("rank", numeric=False), *(head(key, numeric=False) for key in board.keys)]
    heads += [head(name, numeric=True) for name in numbers_header(board)]
    scores = [entry.score.interval for entry in board.entries]
    low, high = min(low for low, _ in scores), max(high for _, high in scores)
    rows = []
    for rank, entry in enumerate(board.entries[:ROWS]):
        cells = [f'<td data-value="{rank}"><span class="dot" style="background:{colour(rank)}"></span>{rank + 1}</td>']
        cells += [f"<td>{escape(shown(value))}</td>" for value in entry.settings.values()]
        for name in board.metrics:
            estimate = entry.metric(name)
            value = "" if estimate is None else estimate.mean
            cells.append(f'<td class="number" data-value="{value}">{metric_value(name, estimate)}</td>')
        if board.tested:
            p = board.p_values[rank]
            cells.append(f'<td class="number" data-value="{"" if p is None else p}">{escape(p_value(p))}</td>')
        seeds = " ".join(_link(run, folder, str(run.result["seed"])) for run in entry.runs)
        cells.append(f'<td class="number" data-value="{len(entry.runs)}">{seeds}</td>')
        cells.append(f'<td class="number" data-value="{entry.parameters}">{entry.parameters:,}</td>')
        cells.append(f'<td class="number" data-value="{entry.seconds}">{entry.seconds:.1f}</td>')
        cells.append(f"<td>{_whisker(entry, colour(rank), low, high)}</td>")
        best = " class=best" if rank == 0 else ""
        rows.append(f'<tr{best} data-entry="{number}-{rank}">{"".join(cells)}</tr>')
    heads.append(f'<th scope="col">{escape(metric_title(board.monitor))}</th>')
    table = f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return scrollable(table, f"Leaderboard of {board.data}")


def _cut(number: int, what: str) -> list[str]:
    """A note on a table that does not show all of its rows."""
    hidden = number - ROWS
    return (
        [f"The first {ROWS:,} {what}; compare.py --csv and --json write the {hidden:,} others too."]
        if hidden > 0
        else []
    )


def _link(run: directories.Run, folder: Path, text: str) -> str:
    """To the run's directory, as seen from `folder`."""
    place = Path(os.path.relpath(run.directory, folder)).as_posix()
    return f'<a href="{escape(quote(place))}/">{escape(text)}</a>'


def _whisker(entry: Entry, paint: str, low: float, high: float) -> str:
    """The confidence interval as a line, the mean as a dot, on the same scale in every row."""
    left, right, middle = (
        5 + 130 * ((value - low) / (high - low) if high > low else 0.5)
        for value in (*entry.score.interval, entry.score.mean)
    )
    return (
        f'<svg width="140" height="12" aria-hidden="true"><line x1="{left:.1f}" x2="{right:.1f}" y1="6" y2="6" '
        f'stroke="{paint}" stroke-width="2"/><circle cx="{middle:.1f}" cy="6" r="4" fill="{paint}"/></svg>'
    )


def _without_rank(runs: Sequence[directories.Run], folder: Path) -> str:
    rows = [
        f"<tr><td>{_link(run, folder, str(directories.shown(run.directory)))}</td><td>{escape(run.status)}</td>"
        f'<td class="error">{escape(reason(run))}</td></tr>'
        for run in runs[:ROWS]
    ]
    head = '<thead><tr><th scope="col">run</th><th scope="col">status</th><th scope="col">reason</th></tr></thead>'
    return scrollable(f"<table>{head}<tbody>{''.join(rows)}</tbody></table>", "Runs that are not ranked")
