"""Compare runs: `python src/compare.py outputs/multirun/<time>`, or any run, sweep, or folder of such."""

import argparse
from pathlib import Path

from mnist_mlp.cli.exit_codes import BEFORE_WORK, Parser, exit_codes
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.extras.leaderboard.difference import difference
from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.html_report import write_report
from mnist_mlp.extras.leaderboard.leaderboard import compared
from mnist_mlp.extras.leaderboard.results import write_csv, write_json
from mnist_mlp.extras.leaderboard.table import text
from mnist_mlp.runs.atomic_write import refuse_unwritable_file, writing_output

HELP = """\
A leaderboard over runs, one for each data set: mean over seeds with its 95 %
confidence interval, ranked on validation, and what can be concluded.

  python src/compare.py outputs/multirun
      every sweep
  python src/compare.py outputs/train/<time> outputs/train/<time>
      two runs: the settings in which they differ, and all metrics of both
  python src/compare.py outputs --csv runs.csv --report report.html
      everything, also as a table of all runs and as a page with plots
"""


def main() -> None:
    with exit_codes(os_error=BEFORE_WORK):  # an OSError is about a path that was given: exit code 2
        compare(arguments())


def arguments() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(usage=argparse.SUPPRESS, description=HELP, formatter_class=raw)
    parser.add_argument("directories", nargs="+", type=Path, metavar="dir", help="a run, a sweep, or a folder of them")
    parser.add_argument("--csv", type=Path, metavar="file", help="also write every run, with learning curves, as CSV")
    parser.add_argument("--json", type=Path, metavar="file", help="the same as JSON, with whole configurations")
    parser.add_argument("--report", type=Path, metavar="file.html", help="also write a page with plots")
    return parser.parse_args()


def compare(given: argparse.Namespace) -> None:
    files = {"csv": write_csv, "json": write_json, "report": write_report}
    wanted = {option: path for option in files if (path := getattr(given, option))}
    for option, path in wanted.items():
        refuse_unwritable_file(f"--{option}", path)
    if len({path.resolve() for path in wanted.values()}) < len(wanted):
        raise ConfigError("--csv, --json, --report: expected a file of its own for each, got one for two of them")
    found = find(given.directories)
    comparison = compared(found)
    named = {directory.resolve() for directory in given.directories}
    two_runs = len(found) == 2 and named == {run.directory.resolve() for run in found}
    print(difference(*found) if two_runs else text(comparison))
    for option, path in wanted.items():
        with writing_output(f"--{option}", path):
            files[option](comparison, path)
        print(f"{option:<16} {path}")


if __name__ == "__main__":
    main()
