"""Training: from a typed configuration to a run directory with a result.

train, train_stack      the recipe of a run, and of several at once
assembly                the parts of one run: module, callbacks, loggers, result
trainer                 the lightning.Trainer, with the engine or with Lightning's own loop
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import lightning as L

from mnist_mlp.callbacks import build_callbacks
from mnist_mlp.config.keys import keys_where, limits_run
from mnist_mlp.config.optional import optional
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.limits import limited_part
from mnist_mlp.data.run_length import plan
from mnist_mlp.distributed.launch import launched
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.engine.hooks import wants_each_step
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.member import Member
from mnist_mlp.engine.resume_points import resume_points
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.runs import directories as runs
from mnist_mlp.runs.loggers import log_final
from mnist_mlp.runs.result import Result, timed_results, written_results
from mnist_mlp.runs.run_directory import locked_for_run, require_same_data
from mnist_mlp.runs.signals import interruptible
from mnist_mlp.runs.thinning import thin
from mnist_mlp.training.assembly import build_member, build_module, count_parameters
from mnist_mlp.training.process_settings import prepare_torch
from mnist_mlp.training.trainer import build_trainer

log = logging.getLogger(__name__)


def train(config: Config, directory: Path, *, callbacks: Sequence[L.Callback] = (), test: bool = True) -> Result:
    """Train and validate a network, and test the best checkpoint once.

    If `config.resume` is set, whatever its value, the run in `directory` is resumed.

    Args:
        directory: gets checkpoints, logs and result.json, which is also written if the run fails.
        callbacks: added to those of the configuration; tune.py adds its pruning callback.
        test: whether to test at the end; tune.py does not.

    Raises:
        UserError: the configuration cannot be trained on this machine, or training failed. The message is one line.
        Stopped: a signal ended the run, or a search pruned it; if training had begun, its state has been saved.
    """
    require_machine(config)
    directory = Path(directory)
    before = runs.read(directory)
    if config.resume and before.status == runs.COMPLETED and _same_length(config, before.result["config"]):
        log.info("%s is complete already", directory)
        # `sweep.keep` may have been changed since the run completed: delete what is no longer kept.
        thin(directory, config.sweep.keep)
        return Result.of(before)
    return train_stack([Job(config=config, directory=directory)], callbacks=[callbacks], test=test)[0]


def train_stack(
    jobs: Sequence[Job],
    *,
    callbacks: Sequence[Sequence[L.Callback]] | None = None,
    test: bool = True,
    bar: str | None = "",
) -> list[Result]:
    """Train jobs whose networks have the same shape; a single run is one job.

    The optimizer steps are made for all networks together, a chunk of steps at a time.

    A job that fails or is pruned ends alone, and the others continue. An exception that ends all of them is raised.

    Args:
        callbacks: for each job, callbacks in addition to those of its configuration.
        test: whether to test at the end.
        bar: title of the progress bar; None if another process draws one bar for all.

    Raises:
        UserError: the configuration cannot be trained, or the only job failed. The message is one line.
        Stopped: a signal ended all jobs.
    """
    config = jobs[0].config
    results = [_open_result(job) for job in jobs]
    # A context manager: starts the processes of all ranks (one per device), and yields the `World` of this one.
    launch = launched(config, jobs[0].directory, on_rank_death=results[0].rank_died)
    # `cleanups` has an ExitStack for each job. Closing one ends that job early, and writes its result.json; the others
    # are closed at the end of the block.
    with _all_locked(jobs), interruptible(), written_results(results) as cleanups, launch as world:
        with timed_results(results, "setup"):
            data = DigitsDataModule(config)
            data.prepare_data()
            data.setup()
            for job in jobs:
                require_same_data(job.directory, data.dataset.sha256)
            callbacks_of_jobs = [
                [*build_callbacks(job.config.callbacks), *added]
                for job, added in zip(jobs, callbacks or [()] * len(jobs), strict=True)
            ]
            length = plan(config.data, config.trainer, images=len(data.parts["train"][0]))
            if any(wants_each_step(callback) for callback in chain.from_iterable(callbacks_of_jobs)):
                length = length.step_by_step()
            modules = [build_module(job, data) for job in jobs]
            prepare_torch(config, length.batch_size, count_parameters(modules[0]), len(jobs), world.local_size)
            checkpoint_paths = resume_points(jobs)
            members = [
                build_member(
                    job, module, data, length, callbacks=added, checkpoint_path=path, result=result, cleanup=cleanup
                )
                for job, module, added, path, result, cleanup in zip(
                    jobs, modules, callbacks_of_jobs, checkpoint_paths, results, cleanups, strict=True
                )
            ]
            model, trainer_data, trainer = build_trainer(config, members, data, length, world, bar)
        with timed_results(results, "fit"):
            # Lightning asks for one path, for the progress of its loops. With the engine, each member is restored
            # from its own checkpoint.
            trainer.fit(model, datamodule=trainer_data, ckpt_path=checkpoint_paths[0], weights_only=True)
        trained = [member for member in members if member.error is None]
        if world.rank == 0:
            _calibrate(trained, data, in_stack=len(jobs) > 1)
        if test and len(data.parts["test"][0]) > 0 and config.trainer.limit_test_batches:
            with timed_results(results, "test"):
                _test_best(trained, trainer, model, trainer_data)
        for member in trained:
            member.collect()
            log_final(member.loggers, member.result.metrics, member.trainer.global_step)
    if world.rank == 0:
        for job, result in zip(jobs, results, strict=True):
            if result.status == runs.COMPLETED:
                # Deletes files of the completed run by `sweep.keep`; with the default, `all`, it does nothing.
                thin(job.directory, job.config.sweep.keep)
    return results


def _open_result(job: Job) -> Result:
    """The result of a job; a resumed one begins with the metrics and history that it had."""
    result = Result(directory=job.directory, seed=job.config.seed, config=asdict(job.config))
    if job.config.resume:
        result.continue_from(runs.read(job.directory))
    return result


@contextmanager
def _all_locked(jobs: Sequence[Job]) -> Iterator[None]:
    """Locks on the directories of all jobs during the block."""
    with ExitStack() as stack:
        for job in jobs:
            stack.enter_context(locked_for_run(job.directory, job.config))
        yield


def _calibrate(members: Sequence[Member], data: DigitsDataModule, *, in_stack: bool) -> None:
    """Calibrate the best checkpoint of each member on its validation images; skipped without the extras."""
    calibrate = optional("calibrate")
    if calibrate is None:
        return
    for member in members:
        val = limited_part(data.parts["val"], member.config.trainer.limit_val_batches, member.config)
        if len(val[0]) > 0:
            calibrate(files.find(member.directory), val, data.parts["train"], member.config, in_stack=in_stack)


def _test_best(
    members: Sequence[Member], trainer: L.Trainer, model: L.LightningModule, trainer_data: L.LightningDataModule
) -> None:
    """Test the best checkpoint of each member once."""
    for member in members:
        member.module.load_state_dict(files.read(files.find(member.directory))["state_dict"])
    trainer.test(model, datamodule=trainer_data, verbose=False)
    for member in members:
        tested = {name: value for name, value in member.trainer.callback_metrics.items() if name.startswith("test/")}
        member.result.metrics |= {name: float(value) for name, value in tested.items()}


def _same_length(config: Config, before: dict[str, Any]) -> bool:
    """Whether `config` limits the length of the run as `before` does.

    `before` is the configuration in the result.json that the run wrote when it completed.
    """
    limits = [name.removeprefix("trainer.") for name in keys_where(limits_run)]
    return all(asdict(config.trainer)[limit] == before["trainer"][limit] for limit in limits)
