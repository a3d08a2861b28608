"""`hydra/launcher=submitit_slurm` and `submitit_local`: every job of a sweep is a process, at most `at_once` at a time.

The launchers of hydra-submitit-launcher do the work. But those give up the whole sweep when a job ends without a
result, for example because it was killed or ran out of memory. Here the other jobs go on, and the sweep's leaderboard
names the job. Hydra imports this module whatever command runs, also where the extra `cluster` is not installed.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig

from mnist_mlp.config.errors import require
from mnist_mlp.extras.stacked_launcher.backends import prepare_for_submitit, refuse_wrong_numbers, require_slurm

try:
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import (
        BaseSubmititLauncher,
        LocalLauncher,
        SlurmLauncher,
    )
except ImportError:
    BaseSubmititLauncher = LocalLauncher = SlurmLauncher = Launcher

log = logging.getLogger(__name__)


class RemoveSubmititSchemas(SearchPathPlugin):
    """Removes the schemas that hydra-submitit-launcher registers. Hydra would check our YAML files against them."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:  # all plugins are imported by now
        for name in ("submitit_local.yaml", "submitit_slurm.yaml"):
            ConfigStore.instance().repo["hydra"]["launcher"].pop(name, None)


class ConcurrentLauncher(BaseSubmititLauncher):
    @staticmethod
    def preflight(hydra: DictConfig) -> None:
        """Check `hydra.launcher` before any work.

        Raises:
            ConfigError: a number is too small, or there is no SLURM on this machine.
            MissingPackageError: a package is not installed.
        """
        refuse_wrong_numbers(hydra)
        require("submitit", "hydra_plugins.hydra_submitit_launcher", package="hydra-submitit-launcher")
        if hydra.launcher._target_.endswith(SlurmJobs.__name__):
            require_slurm("hydra/launcher", "submitit_slurm", instead="submitit_local")

    def __init__(self, at_once: int, **params: Any) -> None:
        super().__init__(**params)
        self.at_once = at_once

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        prepare_for_submitit(self.params["cpus_per_task"])
        pool = ThreadPoolExecutor(self.at_once)  # each thread waits for one job
        try:
            return list(pool.map(self._launch_one, job_overrides, count(initial_job_idx)))
        finally:  # Ctrl-C reaches the jobs too: they save and stop, and no further ones begin
            pool.shutdown(cancel_futures=True)

    def _launch_one(self, overrides: Sequence[str], number: int) -> JobReturn:
        from submitit.core.utils import UncompletedJobError

        try:
            returned: JobReturn = super().launch([overrides], number)[0]
        except UncompletedJobError as error:
            log.error("job %s ended without a result: %s", number, str(error).partition("\n")[0])
            # Hydra would end the sweep at anything else; what became of the job is read from its directory.
            returned = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
        return returned


class LocalJobs(ConcurrentLauncher, LocalLauncher):
    pass


class SlurmJobs(ConcurrentLauncher, SlurmLauncher):
    pass
