"""Helpers of a search: the same command once more on each other core, because a stack uses one core."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.distributed.world import python_path
from mnist_mlp.extras.stacked_launcher.grouping import stacks_at_once

HELPING = "MNIST_MLP_HELPS_SEARCH"


def is_helper() -> bool:
    """Whether another process has started this one, and reports what both find."""
    return HELPING in os.environ


def helper_count(config: TuneConfig) -> int:
    """How many processes should work on the study beside this one: one for each stack that this machine trains at once.

    No more processes than `tune.stack`, which is the number of trials drawn together over all of them.
    """
    return min(stacks_at_once(config), config.tune.stack) - 1


def stop_with_parent() -> None:
    """Stop this helper by SIGTERM when the process that started it ends, which closes the standard input."""

    def wait() -> None:
        while os.read(0, 1):  # not `sys.stdin`, whose lock a thread must not hold when the interpreter ends
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def helped(count: int) -> Iterator[None]:
    """Runs `count` helper processes during the block, and waits at its end until they have finished their trials.

    If the block ends with an exception, they get SIGTERM: they save and stop. Ctrl-C in a terminal does not reach them,
    as a second signal would kill them before they have saved.
    """
    command = [sys.executable, *sys.argv]
    environment = {**os.environ, HELPING: "1", "PYTHONPATH": python_path()}
    started = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, start_new_session=True) for _ in range(count)
    ]
    try:
        yield
    except BaseException:
        for helper in started:
            helper.terminate()
        raise
    finally:
        for helper in started:
            helper.wait()
