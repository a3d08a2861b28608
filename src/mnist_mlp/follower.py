"""`python -m mnist_mlp.follower`: a process that the first one starts, to train with it for as long as it is there."""

from __future__ import annotations

import os
import sys
import threading

from mnist_mlp import team
from mnist_mlp.cli import exit_codes
from mnist_mlp.training import train


def main() -> None:
    with exit_codes():
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        sys.exit(team.follow(train))


def _leave_with_parent() -> None:
    sys.stdin.read()  # until the first process closes it, or is no more
    os._exit(0)


if __name__ == "__main__":
    main()
