"""Hydra application: from a command line to a typed configuration, then one call of the task per run or job.

Torch and Lightning are not imported here, so that --help and configuration errors take half a second.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mnist_mlp.cli import sweep
from mnist_mlp.cli.checks import CheckBeforeWork, checked_configuration
from mnist_mlp.cli.ending import exit_process
from mnist_mlp.cli.exit_codes import BEFORE_WORK, Parser, exit_codes, system_error
from mnist_mlp.cli.header import run_header
from mnist_mlp.config.commands import SCHEMAS
from mnist_mlp.config.compose import quote_where_needed
from mnist_mlp.config.errors import Interrupted, UserError
from mnist_mlp.config.help import FLAGS, help_for
from mnist_mlp.config.schema import CONFIGS, Config
from mnist_mlp.distributed.launch import release_ranks, train_jobs
from mnist_mlp.distributed.world import world
from mnist_mlp.runs import directories, directory_lock, resume
from mnist_mlp.runs.checkpoint_file import LAST
from mnist_mlp.runs.command_line import command
from mnist_mlp.runs.directories import CHECKPOINTS, RESULT
from mnist_mlp.runs.record import CHECKS, RUN
from mnist_mlp.runs.result import Result
from mnist_mlp.runs.signals import interruptible

log = logging.getLogger(__name__)

# Longest time, in seconds, between SLURM's signal to a preempted job and the end of that job.
LONGEST_GRACE = 900

Task = Callable[[Any, Path], None]


def run_app(task: Task, config_name: str) -> NoReturn:
    """Compose the configuration, call `task(config, run directory)` once, or once per job of a sweep, and exit.

    `config_name` is a file in configs/, and a key of `commands.SCHEMAS`.
    """
    with exit_codes(SCHEMAS[config_name]):
        # Hydra then raises its errors, for `exit_codes`, instead of printing them over several lines.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        argparse.ArgumentParser.error = Parser.error  # type: ignore[assignment, method-assign]
        # Read by OpenMP when torch is imported: threads that spin while they wait slow down the others.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if world().rank > 0:
            from mnist_mlp.training import train  # imports torch and Lightning

            code = train_jobs(train)
        else:
            code = _run(task, config_name)
    exit_process(code)


def _run(task: Task, config_name: str) -> int:
    """What rank 0, or the only process, does for `run_app`; returns the exit code."""
    schema = SCHEMAS[config_name]
    try:
        if set(FLAGS) & set(sys.argv[1:]):
            print(help_for(config_name, [argument for argument in sys.argv[1:] if not argument.startswith("-")]))
            sys.exit(0)
        if "--hydra-help" in sys.argv:
            sys.argv[1:] = ["--hydra-help"]  # Hydra composes only its own section, and refuses keys of ours
        sys.argv[1:] = _multirun_first(sys.argv[1:])
        sys.argv[1:] = quote_where_needed(sys.argv[1:])
        if issubclass(schema, Config):
            sys.argv[1:] = resume.expand(sys.argv[1:])
        main = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)
        sys.argv[1:] = _with_checks(sys.argv[1:])
        with interruptible() if schema is Config else nullcontext():  # torch takes seconds to import
            main(_job(task, schema))()
    finally:
        release_ranks()
        every_job_completed = sweep.report()
    return 0 if every_job_completed else 1


def _multirun_first(arguments: list[str]) -> list[str]:
    """The arguments with -m first: Hydra's parser refuses overrides on both sides of it, as in `a=1 -m b=2`."""
    options = [argument for argument in arguments if argument in ("-m", "--multirun")]
    return [*options, *(argument for argument in arguments if argument not in options)]


def _with_checks(arguments: list[str]) -> list[str]:
    """The arguments with `CheckBeforeWork`, also if the user's own file or an override leaves it out.

    Without it Hydra would create a run directory before the configuration is checked.
    """
    overrides = list(map(re.compile(r"[^-=]*=|[+~]").match, arguments))
    place = next((number for number, found in enumerate(overrides) if found), 0)
    place += len(list(takewhile(bool, overrides[place:])))  # behind the others, as Hydra's parser wants them together
    checks = f"++{CHECKS}={CheckBeforeWork.__module__}.{CheckBeforeWork.__name__}"
    return [*arguments[:place], checks, *arguments[place:]]


def _job(task: Task, schema: type[Any]) -> Callable[[DictConfig], None]:
    def job(composed: DictConfig) -> None:
        settings = HydraConfig.get()
        run_directory = Path(settings.runtime.output_dir)
        directories.shell_directory = Path(settings.runtime.cwd)
        if settings.mode == RunMode.RUN:
            # Errors end the process here: Hydra would print another line.
            with (
                exit_codes(schema, directory=run_directory),
                _resume_command_printed_if_interrupted(run_directory),
                _new_directory_removed_if_refused(run_directory),
            ):
                config = checked_configuration(composed, settings, schema)
                if isinstance(config, Config):
                    log.info(run_header(config, run_directory))
                _begin(task, config, run_directory)
            return
        log.info("job %s: %s", settings.job.num, sweep.job_label(settings.job.num, settings.overrides.task))
        if directories.has_begun(run_directory):
            composed.resume = str(run_directory)  # it began before: a sweep is resumed, or SLURM has requeued it
        try:
            _begin(task, checked_configuration(composed, settings, schema), run_directory)
        except UserError as error:  # the other jobs continue
            log.error("job %s failed: %s", settings.job.num, error)
        except Interrupted as error:
            await_slurm(error)
            raise
        except Exception as error:
            if (reason := system_error(error, run_directory)) is not None:
                log.error("job %s failed: %s", settings.job.num, reason)
            else:
                log.exception("job %s failed", settings.job.num)
        finally:
            # Without it the data sets of many jobs (110 MB each with MNIST), in reference cycles, would stay in memory.
            gc.collect()

    return job


def _begin(task: Task, config: Any, run_directory: Path) -> None:
    """Call `task(config, run_directory)`; a signal that comes before `train` has begun is told in result.json too."""
    try:
        task(config, run_directory)
    except Interrupted:
        logging.getLogger("torch").setLevel(logging.WARNING)  # half imported, it prints statistics at the exit
        if (run_directory / RUN).exists() and not (run_directory / RESULT).exists():
            with Result(directory=run_directory, seed=config.seed, config=asdict(config)).written():
                raise
        raise


@contextmanager
def _new_directory_removed_if_refused(run_directory: Path) -> Iterator[None]:
    """If the block raises an error that the user must fix before the run can begin, remove the new directory."""
    try:
        yield
    except UserError as error:
        if error.exit_code == BEFORE_WORK:
            settings = HydraConfig.get()
            beginning = (settings.output_subdir or ".hydra", f"{settings.job.name}.log", RUN, RESULT)
            directory_lock.remove_if_nothing_but(run_directory, *beginning)
        raise


def await_slurm(error: Interrupted) -> None:
    """Wait until SLURM ends this preempted job: SLURM does not requeue a job that ends by itself."""
    if error.exit_code == 143 and os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        log.info("saved; waiting for SLURM to end this job")
        time.sleep(LONGEST_GRACE)


@contextmanager
def _resume_command_printed_if_interrupted(run_directory: Path) -> Iterator[None]:
    """After a signal in the block, print the command that resumes the run, if there is one, and exit."""
    try:
        yield
    except Interrupted as error:
        saved = (run_directory / CHECKPOINTS / LAST).exists()
        if not saved and not (run_directory / RUN).exists():
            raise
        state = "everything is saved" if saved else "before the first checkpoint"
        resuming = command("train.py", resume=run_directory)
        message = f"Stopped by {error.name}, {state}. Continue with:\n{resuming}"
        with suppress(OSError):  # the terminal is closed
            print(message, file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
