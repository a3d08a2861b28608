"""From a command line to a typed configuration, and from an error to one line and an exit code.

Nothing slow is imported here: help and configuration errors answer without torch.
"""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import shlex
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from mnist_mlp.cli import sweep
from mnist_mlp.cli.console import silent_without_reader
from mnist_mlp.cli.startup import hasten_imports
from mnist_mlp.config.commands import SCHEMAS, TrainedConfig
from mnist_mlp.config.errors import ConfigError, Interrupted, MissingPackageError, UserError
from mnist_mlp.config.messages import explain_composition
from mnist_mlp.config.parsing import parse, without
from mnist_mlp.config.schema import CONFIGS, Config
from mnist_mlp.data.sources import describe
from mnist_mlp.distributed import launch as together
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.distributed.world import world
from mnist_mlp.runs import checkpoint_file as checkpoint
from mnist_mlp.runs import directories as runs
from mnist_mlp.runs import resume
from mnist_mlp.runs.atomic_write import refuse_unwritable_directory

log = logging.getLogger(__name__)

# Seconds that SLURM may leave between telling a job to make room and ending it.
LONGEST_GRACE = 900


class Parser(argparse.ArgumentParser):
    """For commands without Hydra: what is wrong is one line, as everywhere, and not a usage and a line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; --help lists what there is")


Task = Callable[[Any, Path], None]


def run_app(task: Task, config_name: str) -> NoReturn:
    """Compose the configuration, call `task(config, run directory)` once, or once per job of a sweep, and exit.

    `config_name` is a file under configs/; `commands.SCHEMAS` says which typed configuration belongs to it.
    """
    with exit_codes(SCHEMAS[config_name]):
        # Hydra prints its own errors over several lines and exits with 1; told so, it raises them to `exit_codes`.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        # Threads that wait by spinning take the cores from those they wait for; read by OpenMP when torch is imported.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if world().rank > 0:
            from mnist_mlp.training import train  # torch and Lightning: only where there is training to do

            sys.exit(together.follow(train))
        try:
            _refuse_unknown_options()
            if issubclass(SCHEMAS[config_name], Config):
                sys.argv[1:] = resume.expand(sys.argv[1:])
            hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(_job(task))()
        finally:
            together.dismiss()
            every_job_completed = sweep.report()
    leave(0 if every_job_completed else 1)


def leave(exit_code: int) -> NoReturn:
    """End the process now; Python would first take torch apart object by object, for 0.7 s."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _refuse_unknown_options() -> None:
    options = get_args_parser()
    options.error = Parser().error  # type: ignore[method-assign]
    options.parse_args()


def _job(task: Task) -> Callable[[DictConfig], None]:
    def job(composed: DictConfig) -> None:
        settings = HydraConfig.get()
        run_directory = Path(settings.runtime.output_dir)
        if settings.mode == RunMode.RUN:
            with exit_codes(), _saying_how_to_go_on(run_directory):  # before Hydra adds a line of its own to the error
                task(_configuration(composed, settings), run_directory)
            return
        if (run_directory / runs.CHECKPOINTS).exists():
            composed.resume = str(run_directory)  # a job that was preempted and came back goes on
        try:
            task(_configuration(composed, settings), run_directory)
        except UserError as error:  # the other jobs go on
            log.error("job %s failed: %s", settings.job.num, error)
        except Interrupted as error:
            if error.exit_code == 143 and os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
                # Making room for another job: SLURM sends back to the queue only what it had to end itself.
                log.info("saved; waiting for SLURM to end this job")
                time.sleep(LONGEST_GRACE)
            raise
        except Exception:
            log.exception("job %s failed", settings.job.num)

    return job


@contextmanager
def _saying_how_to_go_on(run_directory: Path) -> Iterator[None]:
    """End after a signal in the block with the command that goes on, where there is a checkpoint to go on from."""
    try:
        yield
    except Interrupted as error:
        if not (run_directory / runs.CHECKPOINTS / checkpoint.LAST).exists():
            raise
        command = shlex.join(["python", "src/train.py", f"resume={runs.shown(run_directory)}"])
        _exit(f"{error}; {command} goes on", error.exit_code)


def _configuration(composed: DictConfig, settings: Any) -> Any:
    """What `task` is called with: an instance of the schema that belongs to the command."""
    schema = SCHEMAS[settings.job.config_name]
    if issubclass(schema, Config) and settings.mode == RunMode.RUN and _resumes(composed):
        composed = resume.own_configuration(Path(composed.resume), composed, settings.overrides.task)
    config = parse(composed, schema)
    if isinstance(config, Config):
        require_machine(config)
    return config


def _resumes(composed: DictConfig) -> bool:
    return composed.get("resume") is not None


class CheckBeforeWork(Callback):
    """Refuses a wrong configuration, of any job, before a directory is made or anything slow is imported.

    A command that begins with a checkpoint has it refused here too, which may take importing torch.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        with exit_codes():  # Hydra turns a callback's exception into a warning, but lets an exit pass
            given = _configuration(without(config, "hydra"), config.hydra)
            if preset := config.hydra.runtime.choices.get("sweep"):
                raise ConfigError(f"sweep={preset}: expected -m beside it, as in train.py -m sweep={preset}")
            refuse_unwritable_directory("hydra.run.dir", Path(config.hydra.run.dir))
            if not _resumes(config):
                resume.refuse_occupied(Path(config.hydra.run.dir))
            if isinstance(given, TrainedConfig):
                checkpoint.refuse_unusable(given.checkpoint)
            if isinstance(given, Config):
                describe(given.data)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        with exit_codes():
            schema = SCHEMAS[config.hydra.job.config_name]
            if not issubclass(schema, Config):
                raise ConfigError("-m: only training runs can be swept over")
            launcher = config.hydra.runtime.choices["hydra/launcher"]
            _refuse_unusable_launcher(launcher)
            loader = GlobalHydra.instance().config_loader()
            # Submitit would send the loader along with each job, with the configurations of all jobs that it remembers.
            if not launcher.startswith("submitit"):
                sweep.compose_once(loader)
            preset = config.hydra.sweeper.get("params") or {}  # sweep=<name>
            words = [*(f"{name}={values}" for name, values in preset.items()), *config.hydra.overrides.task]
            overrides = OverridesParser.create(loader).parse_overrides(words)
            jobs = BasicSweeper.split_arguments(overrides, None)[0]
            seen: set[str] = set()
            for job in jobs:  # every value once, not every combination: composing is slow
                if not seen.issuperset(job):
                    seen.update(job)
                    given = parse(without(loader.load_sweep_config(config, job), "hydra"), schema)
                    require_machine(given)
                    describe(given.data)
            refuse_unwritable_directory("hydra.sweep.dir", Path(config.hydra.sweep.dir))
            sweep.begin(Path(config.hydra.sweep.dir), resuming=_resumes(config))


def _refuse_unusable_launcher(name: str) -> None:
    if not name.startswith("submitit"):
        return
    if find_spec("submitit") is None or find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        install = f"{sys.executable} -m pip install hydra-submitit-launcher"
        raise MissingPackageError(f"hydra/launcher={name}: needs a package that is not installed: {install}")
    if name == "submitit_slurm" and shutil.which("srun") is None:
        raise ConfigError(
            "hydra/launcher=submitit_slurm: expected SLURM's commands on this machine, found no srun; "
            "hydra/launcher=submitit_local runs jobs side by side without it"
        )


@contextmanager
def exit_codes(schema: type[Any] = Config) -> Iterator[None]:
    """One clear line for what a person can mend, a traceback for a bug; 2 before any work, 1 after, 128 + signal.

    `schema` has the keys that may have been meant.
    """
    hasten_imports()
    try:
        with silent_without_reader():
            yield
    except UserError as error:
        _exit(str(error), error.exit_code)
    except (HydraException, OmegaConfBaseException) as error:
        _exit(explain_composition(error, schema), 2)
    except Interrupted as error:
        _exit(str(error), error.exit_code)
    except KeyboardInterrupt:
        _exit("stopped by Ctrl-C", 130)
    except Exception as error:
        if _raised_by_hydra(error):
            _exit(" ".join(str(error).split()), 2)
        traceback.print_exc()
        sys.exit(1)


def _raised_by_hydra(error: Exception) -> bool:
    """Hydra refuses some overrides, `model=null` among them, with plain ValueErrors of its own."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__")).startswith("hydra.")


def _exit(line: str, code: int) -> NoReturn:
    print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr)
    sys.exit(code)
