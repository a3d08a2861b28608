"""From a command line to a typed configuration, and from an error to an exit code.

app.py          `run_app`: composes with Hydra, calls a command's main once, or once per job of a sweep
checks.py       checks of the configuration, the data and the directory before any work
hydra_checks.py the checks of Hydra's own settings among them
summary.py      what a run has reached, and the next commands, printed last
header.py       network, data, length, device and directory, printed first
sweep.py        the jobs of a sweep, its record, its leaderboard at the end
exit_codes.py   exceptions as one line and an exit code
console.py      log lines above a progress bar; standard output that cannot be written
startup.py      shortens the import of torch and Lightning; ending.py skips their slow destruction at exit
rank_worker.py  main module of the ranks above 0, which rank 0 starts
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from mnist_mlp.cli import ending as ending  # first: exit functions run in reverse order of registration


def _refuse_python_without_packages() -> None:
    """End the command with one line, if this Python is another than the one that the packages were installed into."""
    missing = [name for name in ("hydra", "omegaconf", "torch", "lightning") if find_spec(name) is None]
    if missing or sys.version_info < (3, 11):
        version = sys.version.split()[0]
        found = f" ({version}) without {', '.join(missing)}" if missing else f", which is {version}"
        print(
            f"{Path(sys.argv[0]).name}: expected a Python from 3.11 on with the project's packages, got "
            f"{sys.executable}{found}; `make setup` makes one, .venv/bin/python",
            file=sys.stderr,
        )
        sys.exit(2)


_refuse_python_without_packages()
