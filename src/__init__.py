"""Refuses `python -m src.train` with one line: the commands are scripts, as in `python src/train.py`."""

import itertools
import sys

for option, module in itertools.pairwise(sys.orig_argv):  # `python -B -m ...` has an option before
    if option == "-m" and module.startswith("src."):
        command = module.removeprefix("src.")
        print(f"{command}.py: expected python src/{command}.py, got python -m {module}", file=sys.stderr)
        sys.exit(2)
