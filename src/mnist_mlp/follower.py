"""`python -m mnist_mlp.follower`: a process that the first one starts, to train with it for as long as it is there."""

from __future__ import annotations

import os
import sys
import threading

from mnist_mlp.cli import exit_codes
from mnist_mlp.processes import wait_for_end_of_parent
from mnist_mlp.together import GRACE, follow
from mnist_mlp.training import train


def main() -> None:
    with exit_codes():
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        sys.exit(follow(train))


def _leave_with_parent() -> None:
    wait_for_end_of_parent()
    threading.main_thread().join(GRACE)
    os._exit(1)


if __name__ == "__main__":
    main()
