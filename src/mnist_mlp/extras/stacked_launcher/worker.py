"""`python -m mnist_mlp.extras.stacked_launcher.worker`: trains the stacks that it reads from its input, one by one."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from mnist_mlp.cli.ending import leave
from mnist_mlp.cli.exit_codes import exit_codes
from mnist_mlp.config.errors import UserError
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import Config
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.resume_points import group_by_saved_step
from mnist_mlp.extras.stacked_launcher.grouping import numbers
from mnist_mlp.runs import directories as runs
from mnist_mlp.training import train_stack

log = logging.getLogger(__name__)


def main() -> NoReturn:
    with exit_codes():
        if line := sys.stdin.readline():  # none where there is nothing to do after all
            _work(json.loads(line))
    leave(0)


def _work(order: dict[str, Any]) -> None:
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    if order["console"]:
        logging.config.dictConfig(order["console"])
    for stack in order["stacks"]:
        for part in group_by_saved_step([_job(given) for given in stack]):
            _attempt(part)


def _attempt(jobs: list[Job]) -> None:
    """Train one stack; what is wrong with it is said, and in the result of each of its jobs, and others go on."""
    log.info("jobs %s: %s networks side by side", numbers(jobs), len(jobs))
    try:
        train_stack(jobs)
    except UserError as error:
        log.error("jobs %s failed: %s", numbers(jobs), error)
    except Exception:
        log.exception("jobs %s failed", numbers(jobs))


def _job(given: dict[str, Any]) -> Job:
    config, directory = from_dict(given["config"], Config), Path(given["directory"])
    if (directory / runs.CHECKPOINTS).exists():  # a job that was stopped goes on
        config = replace(config, resume=str(directory))
    return Job(number=given["number"], config=config, directory=directory, logging=given["logging"])


def _stop_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the parent closes its end, or is no more
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
