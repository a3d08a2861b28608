"""`python -m mnist_mlp.distributed.rank_worker`: a process that rank 0 starts and that trains with it until it ends."""

from __future__ import annotations

import os
import sys
import threading

from mnist_mlp.cli.exit_codes import exit_codes
from mnist_mlp.distributed.launch import GRACE, follow
from mnist_mlp.distributed.world import wait_for_end_of_parent
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
