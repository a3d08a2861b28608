"""Training of jobs whose networks have the same shape, all at once: `training.train` for many."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import lightning as L

from mnist_mlp.callbacks import build_callbacks
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.distributed.world import World, ranks_of_run
from mnist_mlp.engine.assembly import assemble
from mnist_mlp.engine.common_checkpoints import common_checkpoints
from mnist_mlp.engine.job import Job
from mnist_mlp.runs import directories
from mnist_mlp.runs.result import Result
from mnist_mlp.runs.run_directory import locked_for_run, record_or_compare_data
from mnist_mlp.runs.signals import interruptible, signals_deferred
from mnist_mlp.runs.thinning import thin
from mnist_mlp.training import train
from mnist_mlp.training.process_settings import prepare_torch, quieten_lightning, threads_of_one_network
from mnist_mlp.training.run import TrainingRun, begin_result, build_module, count_parameters, open_run


def train_stack(
    jobs: Sequence[Job],
    *,
    callbacks: Sequence[Sequence[L.Callback]] | None = None,
    test: bool = True,
    bar: str | None = "",
    threads: int | None = None,
) -> list[Result]:
    """Train jobs whose networks have the same shape.

    The optimizer steps are made for all networks together, a chunk of steps at a time.

    A job that diverges or is pruned ends alone, and the others continue; so does one whose hook or callback raises a
    UserError. Any other error ends all of them, and is raised.
    With engine=plain the jobs train one after another, and the first error ends them all.

    Args:
        callbacks: for each job, callbacks in addition to those of its configuration.
        test: whether to test at the end.
        bar: title of the progress bar; None if another process draws one bar for all.
        threads: of torch; None: one for several networks, and for one network as many as in a single run.

    Raises:
        UserError: the configuration cannot be trained, or the only job failed. The message is one line.
        Stopped: a signal ended all jobs, or the only job was pruned.
    """
    first, added = jobs[0], callbacks or [()] * len(jobs)
    if first.config.engine == "plain":  # one after another
        return [
            train(job.config, job.directory, callbacks=more, test=test, bar=bar)
            for job, more in zip(jobs, added, strict=True)
        ]
    if ranks_of_run(first.config.trainer) > 1:
        raise ConfigError("trainer.devices: expected 1, as a stack trains in one process; train.py divides one network")
    if len(jobs) > 1 and first.config.trainer.overfit_batches:
        raise ConfigError("trainer.overfit_batches: expected 0 in a stack, as its images depend on the seed")
    results = [begin_result(job.config, job.directory) for job in jobs]
    with interruptible(), _ended_alone_or_together(len(jobs)) as cleanups:
        for job, cleanup in zip(jobs, cleanups, strict=True):
            cleanup.enter_context(locked_for_run(job.directory, job.config))
        for result, cleanup in zip(results, cleanups, strict=True):
            cleanup.enter_context(result.written())
        with _timed(results, "setup"):
            chosen = [[*build_callbacks(job.config.callbacks), *more] for job, more in zip(jobs, added, strict=True)]
            data = DigitsDataModule(first.config)
            data.prepare_data()
            data.setup()
            for job in jobs:
                record_or_compare_data(job.directory, data.sha256)
            modules = [build_module(job.config, data) for job in jobs]
            quieten_lightning()
            if threads is None:
                # The matrix products of a stack are small: threads would wait for one another longer than they work.
                alone = threads_of_one_network(first.config, count_parameters(modules[0]))
                threads = alone if len(jobs) == 1 else 1
            prepare_torch(first.config, threads)
            runs = [
                cleanup.enter_context(
                    open_run(
                        job.config,
                        job.directory,
                        module,
                        _with_config(data, job.config),
                        result,
                        callbacks=own,
                        resume_path=path,
                    )
                )
                for cleanup, job, module, result, own, path in zip(
                    cleanups, jobs, modules, results, chosen, common_checkpoints(jobs), strict=True
                )
            ]
            stack, chunks, trainer = assemble(runs, World(), bar=bar, jobs=jobs, cleanups=cleanups)
        with _timed(results, "fit"):
            # Lightning asks for one path, for the progress of its loops. Each member is restored from its own
            # checkpoint.
            trainer.fit(stack, datamodule=chunks, ckpt_path=runs[0].resume_path, weights_only=True)

        def for_each(act: Callable[[TrainingRun], None]) -> None:
            """Call `act` for each run that has not failed; one in which it fails ends alone."""
            for run, member in zip(runs, stack.members, strict=True):
                if member.error is None:
                    with stack.failing_alone(member):
                        act(run)

        for_each(lambda run: run.calibrate(in_stack=len(jobs) > 1))
        if test and data.sizes["test"] and first.config.trainer.limit_test_batches:
            with _timed(results, "test"):
                for_each(TrainingRun.load_best)
                trainer.test(stack, datamodule=chunks, verbose=False)
        for_each(TrainingRun.finish)
    for job, result in zip(jobs, results, strict=True):
        if result.status == directories.COMPLETED:
            thin(job.directory, job.config.sweep.keep)
    return results


def _with_config(data: DigitsDataModule, config: Config) -> DigitsDataModule:
    """A copy that shares the images, and augments with the seed of `config`."""
    own = copy.copy(data)
    own.config = config
    return own


@contextmanager
def _ended_alone_or_together(jobs: int) -> Iterator[list[ExitStack]]:
    """For each job an ExitStack. Closing one ends that job alone; the others are closed at the end of the block."""
    cleanups = [ExitStack() for _ in range(jobs)]
    try:
        yield cleanups
    except BaseException as error:
        with signals_deferred():
            for cleanup in cleanups:
                with suppress(Exception, type(error)):  # the others are closed all the same
                    cleanup.__exit__(type(error), error, error.__traceback__)
        raise
    with ExitStack() as every:  # if one result cannot be written, the others still are
        for cleanup in cleanups:
            every.callback(cleanup.close)


@contextmanager
def _timed(results: Sequence[Result], part: str) -> Iterator[None]:
    """Add the seconds of the block to `seconds[part]` of each result."""
    with ExitStack() as timers:
        for result in results:
            timers.enter_context(result.timed(part))
        yield


@contextmanager
def gc_frozen() -> Iterator[None]:
    """In the block the garbage collector ignores all objects that exist when the block begins.

    For a process that calls `gc.collect` after each of many stacks, which then takes 10 ms, not 200. Without it the
    finished stacks would stay in memory, 110 MB each with MNIST: trainer, modules and data refer to one another.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
