"""`hydra/launcher=stacked`: jobs whose networks have the same shape are trained side by side as one stacked network.

Hydra imports this module whatever command runs, so it leaves torch to the processes that train. Hydra runs this file
before adding it to `sys.modules`. A dataclass looks there to resolve string annotations, so this file must not use
`from __future__ import annotations`.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from mnist_mlp.cli.sweep import jobs_of
from mnist_mlp.config.commands import SCHEMAS
from mnist_mlp.config.compose import hydra_settings_of, parse, without_sections
from mnist_mlp.config.errors import UserError
from mnist_mlp.config.schema import Config
from mnist_mlp.engine.job import Job
from mnist_mlp.extras.stacked_launcher import dispatch
from mnist_mlp.extras.stacked_launcher.backends import HERE, RAY, Resources, most_in_a_stack, refuse_unusable
from mnist_mlp.extras.stacked_launcher.grouping import COMPLETE, numbers, plan, stacks_at_once
from mnist_mlp.extras.stacked_launcher.worker_pool import Processes
from mnist_mlp.extras.text_table import ranges, wrapped
from mnist_mlp.runs.command_line import sweep_overrides

log = logging.getLogger(__name__)


@dataclass
class StackedLauncherConf(Resources):
    _target_: str = "hydra_plugins.stacked.StackedLauncher"
    most: int | None = None
    """networks in one stack at most; null: what suits the device"""


ConfigStore.instance().store(group="hydra/launcher", name="stacked", node=StackedLauncherConf, provider="mnist_mlp")


class StackedLauncher(Launcher):
    preflight = staticmethod(refuse_unusable)

    def __init__(self, most: int | None, **resources: Any) -> None:
        self.most, self.resources = most, Resources(**resources)
        self.on = self.resources.on
        self.processes_started_early: Processes | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        if self.on == HERE:
            # Hydra's sweeper now checks that every job can be composed, which takes seconds. These processes start
            # meanwhile. If the configuration is not valid without a job's overrides, they start later, in `launch`.
            with suppress(UserError):
                count = stacks_at_once(_parsed(config))
                jobs = jobs_of(config, hydra_context.config_loader)
                if jobs is not None:  # a stack has at least two networks
                    count = max(1, min(count, len(jobs) // 2))
                self.processes_started_early = Processes(count)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        overrides = dict(enumerate(job_overrides, start=initial_job_idx))
        stacks, alone = self._plan(overrides)
        returns: dict[int, JobReturn] = {}
        # Without those of hydra.*
        settings_of = {number: list(filter_overrides(of_job)) for number, of_job in overrides.items()}

        def open_stack(stack: Sequence[Job]) -> list[Job]:
            settings = sweep_overrides([settings_of[job.number] for job in stack], list(settings_of.values()))
            log.info("jobs %s: %s networks side by side", numbers(stack), len(stack))
            log.info(wrapped(f"  {settings}", indent="  "))
            return [self._open(job, self._compose(job.number, overrides[job.number])) for job in stack]

        console: Any = OmegaConf.to_container(self.config.hydra.hydra_logging, resolve=True)
        folder = Path(str(self.config.hydra.sweep.dir), ".submitit")
        if stacks:
            backend = self.processes_started_early or _backend(self.resources, stacks[0][0].config, folder)
            dispatch.train(stacks, backend, prepare=open_stack, console=console)
        elif self.processes_started_early:
            self.processes_started_early.close()
        # Its processes have ended; with hydra.sweeper.max_batch_size there may be more jobs to launch.
        self.processes_started_early = None
        for number, reason in alone.items():
            if reason != COMPLETE:
                log.info("job %s runs alone: %s", number, reason)
                returns[number] = self._run_job(self._compose(number, overrides[number]), self.task_function)
        if complete := [number for number, reason in alone.items() if reason == COMPLETE]:
            log.info("jobs %s: %s", ranges(complete), COMPLETE)
        stacked = JobReturn(status=JobStatus.COMPLETED)  # what became of its training is read from its directory
        return [returns.get(number, stacked) for number in overrides]

    def _compose(self, number: int, overrides: Sequence[str]) -> DictConfig:
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            if OmegaConf.select(config, "sweep.keep") in ("best", "results"):
                config.hydra.output_subdir = None  # no .hydra/: it would be deleted at the end
        return config

    def _plan(self, overrides: dict[int, Sequence[str]]) -> tuple[list[list[Job]], dict[int, str]]:
        """The stacks, and why each other job runs alone."""
        jobs, alone = [], {}
        for number, of_job in overrides.items():
            config = self._compose(number, of_job)
            with hydra_settings_of(config):
                directory = Path(config.hydra.sweep.dir, str(config.hydra.sweep.subdir))
                try:
                    jobs.append(Job(number=number, config=_parsed(config), directory=directory))
                except UserError:  # the job says it itself when it runs
                    alone[number] = "its configuration is wrong"
        if self.on == HERE:
            planned = plan(jobs, self.most)
        else:
            # Elsewhere stacks wait in a queue: their number need not suit the cores of this machine.
            planned = plan(jobs, self.most or most_in_a_stack(self.resources), multiple_of=1)
        return planned.stacks, alone | {job.number: reason for job, reason in planned.alone}

    def _open(self, job: Job, config: DictConfig) -> Job:
        """Open a job as Hydra does: directory, .hydra, callbacks.

        The job returned has its absolute directory and its logging configuration.
        Hydra's `run_job` would do it too, and copy the configuration four times.
        """
        directory = job.directory.absolute()
        with hydra_settings_of(config):
            config.hydra.runtime.output_dir = str(directory)
            directory.mkdir(parents=True, exist_ok=True)
            if config.hydra.output_subdir is not None:
                record = directory / config.hydra.output_subdir
                record.mkdir(exist_ok=True)
                OmegaConf.save(without_sections(config, "hydra"), record / "config.yaml")
                OmegaConf.save(OmegaConf.masked_copy(config, "hydra"), record / "hydra.yaml")
                OmegaConf.save(config.hydra.overrides.task, record / "overrides.yaml")
            self.hydra_context.callbacks.on_job_start(config=config, task_function=self.task_function)
            own_log: Any = OmegaConf.to_container(config.hydra.job_logging, resolve=True)
            return replace(job, directory=directory, logging=own_log)

    def _run_job(self, config: DictConfig, task: TaskFunction) -> JobReturn:
        returned = run_job(
            hydra_context=self.hydra_context,
            task_function=task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        returned.cfg = returned.hydra_cfg = None  # 0.3 MB that nobody asks for, and a sweep may have many jobs
        return returned


def _backend(resources: Resources, config: Config, folder: Path) -> dispatch.Backend:
    """The backend for `hydra.launcher.on`. Its package (ray, submitit) is imported only here."""
    if resources.on == HERE:
        return Processes(stacks_at_once(config))
    if resources.on == RAY:
        from mnist_mlp.extras.stacked_launcher.on_ray import RayTasks

        return RayTasks(resources)
    from mnist_mlp.extras.stacked_launcher.on_submitit import SubmititJobs

    return SubmititJobs(resources, folder)


def _parsed(config: DictConfig) -> Any:
    """An instance of the schema that belongs to the command."""
    return parse(config, SCHEMAS[config.hydra.callbacks.check.command])
