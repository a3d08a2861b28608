"""The leaderboard as one self-contained page: plots and style inside, nothing fetched, light or dark as wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from mnist_mlp.extras.leaderboard import plots
from mnist_mlp.extras.leaderboard.command import command
from mnist_mlp.extras.leaderboard.leaderboard import Comparison, Entry, Leaderboard
from mnist_mlp.extras.leaderboard.table import metric_value, remarks, shown
from mnist_mlp.runs import directories as runs

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #5c6570; --line: #b3bac4; --ground: #ffffff;
        --card: #f5f7f9; --accent: #0b72bd; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebee; --faint: #9aa4af; --line: #59626d; --ground: #14171b; --card: #1d2127; --accent: #4db1f5; } }
body { margin: 0 auto; max-width: 70rem; padding: 2.5rem 1.5rem 4rem; background: var(--ground); color: var(--ink);
       font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2.6rem 0 .6rem; }
p { margin: .3rem 0; } .faint { color: var(--faint); }
pre { background: var(--card); border-left: 3px solid var(--accent); padding: .7rem 1rem; white-space: pre-wrap; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .86rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--faint); font-weight: 500; } tr.best td { font-weight: 600; }
td.number, th.number { text-align: right; } td.error { white-space: normal; }
.dot { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .5rem; }
svg { max-width: 100%; height: auto; } td svg { max-width: none; } svg text { font-family: inherit; }
"""


def write_report(comparison: Comparison, path: Path) -> None:
    path.write_text(page(comparison), encoding="utf-8")


def page(comparison: Comparison) -> str:
    """The whole document, as HTML: the leaderboard of each data set under a title of its own."""
    boards, unfinished = comparison.boards, comparison.unfinished
    titles = [_title(board) for board in boards] or ["No run completed"]
    title = titles[0] if len(titles) == 1 else f"Runs on {' and '.join(board.data for board in boards)}"
    parts = [] if boards else [f"<h1>{title}</h1>"]
    for board in boards:
        parts += _sections(board)
    if unfinished:
        parts.append(_section(f"Not completed: {len(unfinished)}", _failures(unfinished)))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title>'
    head += f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{chr(10).join(parts)}\n</body></html>\n'


def _sections(board: Leaderboard) -> Iterator[str]:
    seeds = len({seed for entry in board.entries for seed in entry.seeds})
    completed = sum(len(entry.runs) for entry in board.entries)
    best = board.entries[0]
    yield f"<h1>{escape(_title(board))}</h1>"
    yield (
        f'<p class="faint">{_count(completed, "run")} of {_count(len(board.entries), "configuration")}, '
        f"{_count(seeds, 'seed')}, on {board.data}</p>"
    )
    yield _section("The best on validation again", f"<pre>{escape(command(best.config, best.seeds))}</pre>")
    yield _section("Leaderboard", _table(board), *remarks(board))
    yield _section(
        "Learning curves",
        plots.learning_curves(board),
        "Mean over seeds and the range that they cover; colours as in the leaderboard.",
    )
    if board.keys:
        yield _section(
            "Validation accuracy by setting",
            plots.by_setting(board),
            "Every configuration once in each panel; small grey dots are single runs.",
        )
        yield _section(
            "All settings together",
            plots.parallel_coordinates(board),
            "A line is a configuration, the bold one is the best.",
        )
    yield _section(
        "Accuracy against time",
        plots.accuracy_against_seconds(board),
        "Numbers are ranks; seconds of the whole run, on the machine that ran it.",
    )


def _section(heading: str, content: str, *said: str) -> str:
    return "\n".join([f"<h2>{heading}</h2>", *(f'<p class="faint">{escape(line)}</p>' for line in said), content])


def _title(board: Leaderboard) -> str:
    best = board.entries[0]
    named = ", ".join(f"{key.rpartition('.')[2]} {shown(value)}" for key, value in best.settings.items())
    return f"{metric_value(board.monitor, best.score, unit=True)} on validation" + (f" with {named}" if named else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _table(board: Leaderboard) -> str:
    numbers = ["val acc %", "test acc %", "seeds", "parameters", "seconds"]
    head = "".join(f"<th>{escape(key)}</th>" for key in ["rank", *board.keys])
    head += "".join(f'<th class="number">{name}</th>' for name in numbers) + "<th></th>"
    low = min(entry.score.interval[0] for entry in board.entries)
    high = max(entry.score.interval[1] for entry in board.entries)
    rows = []
    for rank, entry in enumerate(board.entries):
        cells = f'<td><span class="dot" style="background:{plots.colour(rank)}"></span>{rank + 1}</td>'
        cells += "".join(f"<td>{escape(shown(value))}</td>" for value in entry.settings.values())
        values = [
            metric_value(board.monitor, entry.score),
            metric_value("test/acc", entry.metric("test/acc")),
            str(len(entry.runs)),
        ]
        values += [f"{entry.parameters:,}", f"{entry.seconds:.1f}"]
        cells += "".join(f'<td class="number">{value}</td>' for value in values)
        cells += f"<td>{_whisker(entry, plots.colour(rank), low, high)}</td>"
        rows.append(f"<tr{' class=best' if rank == 0 else ''}>{cells}</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _whisker(entry: Entry, colour: str, low: float, high: float) -> str:
    """The confidence interval as a line, the mean as a dot, on the same scale in every row."""
    left, right, middle = (
        5 + 130 * (value - low) / ((high - low) or 1.0) for value in (*entry.score.interval, entry.score.mean)
    )
    return (
        f'<svg width="140" height="12"><line x1="{left:.1f}" x2="{right:.1f}" y1="6" y2="6" stroke="{colour}" '
        f'stroke-width="2"/><circle cx="{middle:.1f}" cy="6" r="4" fill="{colour}"/></svg>'
    )


def _failures(unfinished: Sequence[runs.Run]) -> str:
    rows = [
        f"<tr><td>{escape(run.status)}</td><td>{escape(str(run.directory))}</td>"
        f'<td class="error">{escape(str(run.result.get("error") or ""))}</td></tr>'
        for run in unfinished
    ]
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'
