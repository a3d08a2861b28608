"""The end of a sweep: its leaderboard for the terminal, and the same as a page with plots in the sweep's directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnist_mlp.extras.leaderboard.html_report import write_report
from mnist_mlp.extras.leaderboard.leaderboard import compared
from mnist_mlp.extras.leaderboard.table import text
from mnist_mlp.runs import directories


def sweep_report(jobs: Sequence[directories.Run], directory: Path) -> str:
    """The leaderboard over `jobs` as text; leaves report.html in `directory` where there is something to plot.

    If the page cannot be written, a line says so; it is no error, as the jobs are done.
    """
    comparison = compared(jobs)
    parts = [text(comparison)]
    if comparison.boards:
        page = directory / "report.html"
        try:
            write_report(comparison, page)
        except OSError as error:
            parts.append(f"report           not written: {error}")
        else:
            parts.append(f"report           {directories.shown(page)}")
    return "\n".join(parts)
