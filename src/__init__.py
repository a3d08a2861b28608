"""Refuses `python -m src.train` with one line: the commands are scripts, as in `python src/train.py`."""

import sys

if sys.orig_argv[1:2] == ["-m"]:
    command = sys.orig_argv[2].rpartition(".")[2]
    print(f"{command}.py: expected python src/{command}.py, got python -m {sys.orig_argv[2]}", file=sys.stderr)
    sys.exit(2)
