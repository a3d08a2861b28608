"""Compare runs: `python src/compare.py outputs/multirun/<time>`, or any run, sweep, or folder of such."""

import argparse
from pathlib import Path

from mnist_mlp.cli.app import Parser, exit_codes
from mnist_mlp.extras.leaderboard.leaderboard import compared, find
from mnist_mlp.extras.leaderboard.table import difference, text, write_csv
from mnist_mlp.runs.atomic_write import refuse_unwritable_file, written


def main() -> None:
    with exit_codes():
        compare(arguments())


def arguments() -> argparse.Namespace:
    parser = Parser(
        description="A leaderboard over runs, one for each data set: mean over seeds with its 95 % confidence "
        "interval, ranked on validation. Of exactly two runs it shows what differs."
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="dir", help="a run, a sweep, or a folder of them")
    parser.add_argument("--csv", type=Path, metavar="file", help="also write every run to a table")
    parser.add_argument("--report", type=Path, metavar="file.html", help="also write a page with plots")
    return parser.parse_args()


def compare(given: argparse.Namespace) -> None:
    for option, path in (("--csv", given.csv), ("--report", given.report)):
        if path:
            refuse_unwritable_file(option, path)
    found = find(given.directories)
    comparison = compared(found)
    print(difference(*found) if len(found) == 2 else text(comparison))
    if given.csv:
        with written("--csv", given.csv):
            write_csv(comparison, given.csv)
        print(f"table            {given.csv}")
    if given.report:
        from mnist_mlp.extras.leaderboard.html_report import write_report  # matplotlib only where a page is wanted

        with written("--report", given.report):
            write_report(comparison, given.report)
        print(f"report           {given.report}")


if __name__ == "__main__":
    main()
