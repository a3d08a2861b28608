"""`hydra/launcher=stacked`: jobs whose networks have the same shape are trained side by side as one stacked network.

Hydra imports this module whatever command runs, so it leaves torch to the processes that train. It does so before the
module is entered in `sys.modules`, where a dataclass would look up annotations that are strings: they are none here.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, configure_log, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from mnist_mlp.config.commands import SCHEMAS
from mnist_mlp.config.errors import UserError
from mnist_mlp.config.parsing import parse, without_sections
from mnist_mlp.engine.job import Job
from mnist_mlp.extras.stacked_launcher.grouping import plan, stacks_at_once
from mnist_mlp.extras.stacked_launcher.worker_pool import begin, train

log = logging.getLogger(__name__)


@dataclass
class StackedLauncherConf:
    _target_: str = "hydra_plugins.stacked.StackedLauncher"
    most: int | None = None
    """networks in one stack at most; null: what suits the device"""


ConfigStore.instance().store(group="hydra/launcher", name="stacked", node=StackedLauncherConf, provider="mnist_mlp")


class StackedLauncher(Launcher):
    def __init__(self, most: int | None) -> None:
        self.most = most

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        # For seconds Hydra's sweeper will now look whether every job can be composed.
        self.begun = begin(_stacks_at_once(config))

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        configs = {
            number: self._compose(number, overrides)
            for number, overrides in enumerate(job_overrides, start=initial_job_idx)
        }
        stacks, alone = self._plan(configs)
        returns: dict[int, JobReturn] = {}
        opened: list[list[Job]] = []
        for stack in stacks:
            opened.append([])
            for job in stack:
                returns[job.number], ready = self._open(job, configs[job.number])
                opened[-1].append(ready)
        console: Any = OmegaConf.to_container(self.config.hydra.hydra_logging, resolve=True)
        train(opened, console, self.begun)
        self.begun = []  # of the next batch of jobs, if there is one
        for number, reason in alone.items():
            words = " ".join(filter_overrides(job_overrides[number - initial_job_idx]))
            log.info("job %s runs alone: %s   %s", number, reason, words)
            returns[number] = self._run_job(configs[number], self.task_function)
        return [returns[number] for number in configs]

    def _compose(self, number: int, overrides: Sequence[str]) -> DictConfig:
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return config

    def _plan(self, configs: dict[int, DictConfig]) -> tuple[list[list[Job]], dict[int, str]]:
        """The stacks, and why each other job runs alone."""
        jobs, alone = [], {}
        for number, config in configs.items():
            with _settings_of(config):
                try:
                    jobs.append(_job(config, Path(config.hydra.sweep.dir, str(config.hydra.sweep.subdir))))
                except UserError:  # the job says it itself when it runs
                    alone[number] = "its configuration is wrong"
        planned = plan(jobs, self.most)
        return planned.stacks, alone | {job.number: reason for job, reason in planned.alone}

    def _open(self, job: Job, config: DictConfig) -> tuple[JobReturn, Job]:
        """As Hydra does it: directory, .hydra, log file, callbacks. What comes back knows where it is and may log."""
        opened: list[Job] = []

        def open_job(_: DictConfig) -> None:
            settings = HydraConfig.get()
            own_log: Any = OmegaConf.to_container(settings.job_logging, resolve=True)
            opened.append(replace(job, directory=Path(settings.runtime.output_dir), logging=own_log))

        return self._run_job(config, open_job), opened[0]

    def _run_job(self, config: DictConfig, task: TaskFunction) -> JobReturn:
        returned = run_job(
            hydra_context=self.hydra_context,
            task_function=task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return returned


def _stacks_at_once(config: DictConfig) -> int:
    """Of a sweep with this configuration; 0 where only its jobs have a whole one."""
    try:
        return stacks_at_once(_parsed(config))
    except UserError:
        return 0


def _parsed(config: DictConfig) -> Any:
    """An instance of the schema that belongs to the command."""
    return parse(without_sections(config, "hydra"), SCHEMAS[config.hydra.callbacks.check.command])


def _job(config: DictConfig, directory: Path) -> Job:
    """The job of a composed configuration.

    Raises:
        ConfigError: as `configuration.parse`.
    """
    return Job(
        number=config.hydra.job.num,
        config=_parsed(config),
        directory=directory,
    )


@contextmanager
def _settings_of(config: DictConfig) -> Iterator[None]:
    """Make `${hydra:...}` mean this job, as it will while the job runs."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before
