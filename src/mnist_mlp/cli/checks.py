"""Checks before any work: configuration, directory, data, checkpoints, launcher.

In a sweep each value is checked, not every combination.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from hydra.utils import get_class
from omegaconf import DictConfig

from mnist_mlp.cli import sweep
from mnist_mlp.cli.exit_codes import BEFORE_WORK, exit_codes, stop
from mnist_mlp.cli.header import sweep_header
from mnist_mlp.cli.hydra_checks import refuse_job_name, refuse_overrides_for_sweeps, refuse_shadowed_files
from mnist_mlp.config.commands import SCHEMAS, EvaluateConfig, TrainedConfig, TuneConfig
from mnist_mlp.config.compose import parse, without_sections
from mnist_mlp.config.errors import ConfigError, UserError
from mnist_mlp.config.job_compositions import JobCompositions
from mnist_mlp.config.overrides import key_of
from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.distributed.world import ranks_of_run
from mnist_mlp.runs import chosen_checkpoint, directory_lock, record, resume, run_directory
from mnist_mlp.runs.atomic_write import refuse_unwritable_directory
from mnist_mlp.runs.directories import CHECKPOINTS

log = logging.getLogger(__name__)

# If a value is invalid in one job, at most this many of the other jobs that have it are tried.
TRIED = 100


class CheckBeforeWork(Callback):
    """Callback of Hydra: checks everything, then creates the directory, locks it and writes its record.

    Torch is imported only to check the checkpoints of a command that uses some.
    """

    def __init__(self, command: str | None = None, resuming: bool = False) -> None:
        """
        Args:
            command: a key of `commands.SCHEMAS`. configs/base/run.yaml, evaluate.yaml and the others set it as
                `hydra.callbacks.check.command`. None: a file given by --config-name has none of them in `defaults`.
            resuming: whether the sweep in the directory is to be finished.
        """
        if command is None:
            own = Path(sys.argv[0]).stem
            stop(
                "the configuration has no hydra.callbacks.check, so it cannot be checked; a file for --config-name "
                f"must begin with `defaults: [{own}, _self_]`",
                BEFORE_WORK,
            )
        self.command, self.schema, self.resuming = command, SCHEMAS[command], resuming

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        # Hydra turns an exception of a callback into a warning, but not SystemExit.
        with exit_codes(self.schema, os_error=BEFORE_WORK):
            if Path(sys.argv[0]).stem in SCHEMAS.keys() - {self.command}:
                name = config.hydra.job.config_name
                raise ConfigError(f"-cn {name}: expected another configuration, this is one of {self.command}.py")
            given = checked_configuration(without_sections(config, "hydra"), config.hydra, self.schema)
            refuse_overrides_for_sweeps(config.hydra)
            refuse_shadowed_files(config.hydra)
            resuming = config.get("resume") is not None
            if self.schema is Config and given.sweep.keep != "all" and not resuming:
                raise ConfigError(f"sweep.keep={given.sweep.keep}: expected -m beside it, as in train.py -m seed=0,1")
            directory = Path(config.hydra.run.dir)
            refuse_unwritable_directory("hydra.run.dir", config.hydra.run.dir)
            refuse_job_name(config.hydra)
            if not resuming:
                run_directory.refuse_occupied(directory)
            if isinstance(given, TrainedConfig):
                chosen_checkpoint.refuse_unusable(given.checkpoint)
            if isinstance(given, Config):
                _refuse_unusable_data(given)
            if self.schema is TuneConfig:  # several processes search in one directory, each with trials of its own
                return
            directory_lock.acquire(directory)
            if not resuming:
                run_directory.refuse_occupied(directory)  # again: a run may have used it before it was locked

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        with exit_codes(self.schema, os_error=BEFORE_WORK):
            if self.schema is TuneConfig:
                raise ConfigError("tune.py searches the values of a sweep in one run: leave -m out")
            if not issubclass(self.schema, Config):
                raise ConfigError("-m: only training runs can be swept over")
            named = {key_of(override) for override in record.overrides_of(config.hydra)["hydra"]}
            if "hydra.run.dir" in named and "hydra.sweep.dir" not in named:
                raise ConfigError(
                    "hydra.run.dir: has no effect with -m; the directory of a sweep is set by "
                    f"hydra.sweep.dir={config.hydra.run.dir}"
                )
            refuse_job_name(config.hydra)
            launcher = get_class(config.hydra.launcher._target_)
            if preflight := getattr(launcher, "preflight", None):  # a launcher of ours
                preflight(config.hydra)
            loader = GlobalHydra.instance().config_loader()
            # Submitit pickles the loader with each job, and the cache would hold the configurations of all jobs.
            if not config.hydra.runtime.choices["hydra/launcher"].startswith("submitit"):
                sweep.compose_once(loader, config)
            jobs = sweep.jobs_of(config, loader)
            first_valid = self._refuse_invalid_values(config, jobs, loader)
            refuse_unwritable_directory("hydra.sweep.dir", config.hydra.sweep.dir)
            log.info(sweep_header(jobs, Path(config.hydra.sweep.dir)))
            sweep.begin(config, jobs, loader, self._base(config, first_valid), resuming=self.resuming)

    def _refuse_invalid_values(self, config: DictConfig, jobs: list[list[str]] | None, loader: ConfigLoader) -> Config:
        """Check that every value is valid in some job; a combination that is not fails alone, when it runs.

        Jobs whose values are all known to be valid are not composed, as that is slow. Returns the configuration of the
        first valid job.
        """
        compose = JobCompositions(lambda overrides: loader.load_sweep_config(config, overrides))
        first: Config | None = None
        valid: set[str] = set()

        def check(job: list[str]) -> Config:
            composed = compose(job)
            refuse_shadowed_files(composed.hydra)
            given: Config = parse(composed, self.schema)
            require_machine(given)
            _refuse_unusable_data(given)
            valid.update(job)
            return given

        def valid_in_another(value: str) -> bool:
            others = [job for job in jobs or () if value in job]
            for other in random.Random(0).sample(others, min(TRIED, len(others))):
                with suppress(UserError):
                    check(other)
                    return True
            return False

        for job in jobs or [[]]:
            if first is None or not valid.issuperset(job):
                try:
                    given = check(job)
                    first = first or given
                except UserError:
                    if not (job and all(value in valid or valid_in_another(value) for value in job)):
                        raise
        assert first is not None
        return first

    def _base(self, config: DictConfig, first_valid: Config) -> dict[str, Any]:
        """The configuration that a sweep varies; if that alone is not valid, that of the first valid job."""
        try:
            return asdict(parse(config, self.schema))
        except ConfigError:
            return asdict(first_valid)

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        if self.schema is not Config:
            return
        directory = Path(config.hydra.runtime.output_dir)
        # A run that has begun keeps its record.
        if config.get("resume") is not None or (directory / CHECKPOINTS).exists():
            return
        in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        with exit_codes(self.schema):
            try:
                given = asdict(parse(config, Config)) | {"resume": None}
            except ConfigError:
                if in_sweep:  # a combination of values that are valid in others: this job alone fails
                    return
                raise
            sweep_directory = None
            if in_sweep:
                # Relative, so that both can be moved together.
                sweep_directory = os.path.relpath(Path(config.hydra.sweep.dir).resolve(), directory.resolve())
            command = record.Command.of(config.hydra)
            record.write_run(directory, record.RunRecord(config=given, command=command, sweep=sweep_directory))


def checked_configuration(composed: DictConfig, settings: Any, schema: type[Any]) -> Any:
    """The typed configuration, an instance of `schema`; for a resumed run, the one that it was started with."""
    if issubclass(schema, Config) and settings.mode == RunMode.RUN and composed.get("resume") is not None:
        composed = resume.recorded_configuration(Path(composed.resume), composed, settings.overrides.task)
    config = parse(composed, schema)
    if isinstance(config, Config):
        require_machine(config)
    if isinstance(config, TuneConfig) and ranks_of_run(config.trainer) > 1:
        raise ConfigError("trainer.devices: a search trains each network in one process; start tune.py several times")
    if isinstance(config, EvaluateConfig) and config.committee and not isinstance(config.checkpoint, list):
        raise ConfigError("committee: expected several checkpoints beside it, as checkpoint=[a,b], got one")
    return config


def _refuse_unusable_data(config: Config) -> None:
    from mnist_mlp.data.run_length import run_length
    from mnist_mlp.data.sources import (  # imports NumPy, which --help and a wrong key do not need
        describe,
        require_plain_engine_for_own_loaders,
    )

    info, held_out = describe(config.data), config.data.val_size
    run_length(
        config.data, config.trainer, {"train": info.train_size - held_out, "val": held_out, "test": info.test_size}
    )
    require_plain_engine_for_own_loaders(config)
