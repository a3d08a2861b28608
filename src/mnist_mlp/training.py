"""Training: from a typed configuration to a run directory with a result.

`train` is the entry point; `train_stack` is the recipe, from top to bottom.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import lightning as L

from mnist_mlp.callbacks import build_callbacks
from mnist_mlp.callbacks.history import History
from mnist_mlp.callbacks.interruption import Interruption
from mnist_mlp.callbacks.model_checkpoint import Checkpointing, checkpoint_metadata
from mnist_mlp.callbacks.monitors import require_right_modes
from mnist_mlp.callbacks.progress_bar import RunBar
from mnist_mlp.config.keys import by_engine, keys_where, limits_run
from mnist_mlp.config.optional import optional
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.distributed.launch import launched
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.distributed.strategy import SharedMinibatches, WorldEnvironment, device_arguments
from mnist_mlp.distributed.world import World
from mnist_mlp.engine.chunked_data import ChunkedData, limited_part
from mnist_mlp.engine.hooks import MemberHooks, wants_each_step
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.member import Member, MemberCheckpointIO
from mnist_mlp.engine.process_settings import prepare_torch, quieten_lightning
from mnist_mlp.engine.resume_points import resume_points
from mnist_mlp.engine.run_length import RunLength, plan
from mnist_mlp.engine.stack import Stack
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.runs import directories as runs
from mnist_mlp.runs.checkpoint_io import BackgroundCheckpointIO
from mnist_mlp.runs.loggers import build_loggers, log_final
from mnist_mlp.runs.result import Result, timed_results, written_results
from mnist_mlp.runs.run_directory import locked_for_run, require_same_data
from mnist_mlp.runs.signals import interruptible
from mnist_mlp.runs.thinning import thin

log = logging.getLogger(__name__)


def train(config: Config, directory: Path, *, callbacks: Sequence[L.Callback] = (), test: bool = True) -> Result:
    """Train and validate a network, and test the best checkpoint once.

    If `config.resume` is set, the run in `directory` is resumed.

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
        # Deletes files by `sweep.keep`, which may have been `all` before; with `all` it does nothing.
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
    ranks = launched(config, jobs[0].directory, on_rank_death=results[0].rank_died)
    # Closing a job's entry of `cleanups` writes its result.json before the others'.
    with _all_locked(jobs), interruptible(), written_results(results) as cleanups, ranks as world:
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
            modules = [_build_module(job, data) for job in jobs]
            prepare_torch(config, length.batch_size, _parameters(modules[0]), len(jobs), world.local_size)
            checkpoint_paths = resume_points(jobs)
            members = [
                _build_member(
                    job, module, data, length, callbacks=added, checkpoint_path=path, result=result, cleanup=cleanup
                )
                for job, module, added, path, result, cleanup in zip(
                    jobs, modules, callbacks_of_jobs, checkpoint_paths, results, cleanups, strict=True
                )
            ]
            model, trainer_data, trainer = _build_trainer(config, members, data, length, world, bar)
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


def _build_module(job: Job, data: DigitsDataModule) -> DigitClassifier:
    """The LightningModule of a job, with initial weights from its own seed."""
    L.seed_everything(job.config.seed, verbose=False)
    return DigitClassifier(job.config, data.spec)


def _build_member(
    job: Job,
    module: DigitClassifier,
    data: DigitsDataModule,
    length: RunLength,
    *,
    callbacks: Sequence[L.Callback],
    checkpoint_path: Path | None,
    result: Result,
    cleanup: ExitStack,
) -> Member:
    """The member of one job: module, data, callbacks, loggers and result; it resumes from `checkpoint_path`, if any."""
    config = job.config
    own_data = copy.copy(data)
    own_data.config = config
    result.parameters = _parameters(module)
    if not config.resume:
        require_right_modes(config, module.metrics_of("val"))
    history = History(config.trainer.log_every_n_steps)
    checkpointing = Checkpointing(job.directory, config.checkpoint, length, checkpoint_metadata(config, data))
    all_callbacks = [history, *callbacks, checkpointing]
    # `optional` returns None if extras/ was deleted.
    if config.dashboard.snapshots and config.logger.tensorboard and (dashboard := optional("dashboard")):
        all_callbacks.append(dashboard(config, data.spec.class_names, length.epochs))
    checkpoint = files.read(checkpoint_path) if checkpoint_path else None
    loggers = build_loggers(config, job.directory, purge_step=checkpoint["global_step"] + 1 if checkpoint else None)

    def collect() -> None:
        """Copy history and metrics from the callbacks to the result."""
        result.take_history(history.rows, checkpointing.best_epoch)
        # The history row of the best epoch has that epoch's last validation. The best validation may have been an
        # earlier one in the same epoch.
        result.metrics |= checkpointing.best_validation

    def finalize() -> None:
        # With another status TensorBoardLogger would not save the hyperparameters. result.json says if the run failed.
        for logger in loggers:
            logger.finalize("success")

    # These are called however the run ends. For a completed run, `train_stack` has called `collect` before.
    cleanup.callback(collect)
    cleanup.callback(finalize)
    return Member(
        job,
        module,
        own_data,
        length,
        callbacks=all_callbacks,
        loggers=loggers,
        start=checkpoint,
        result=result,
        collect=collect,
        cleanup=cleanup,
    )


def _build_trainer(
    config: Config,
    members: Sequence[Member],
    data: DigitsDataModule,
    length: RunLength,
    world: World,
    title: str | None,
) -> tuple[L.LightningModule, L.LightningDataModule, L.Trainer]:
    """Module, data module and trainer: those of the engine, or with engine=plain Lightning's own."""
    quieten_lightning()
    settings = _trainer_arguments(config, world)
    settings["enable_progress_bar"] = config.trainer.enable_progress_bar and world.rank == 0 and title is not None
    bar = [RunBar(length, members, title or "")] if settings["enable_progress_bar"] else []
    if config.engine == "plain":
        member = members[0]
        checkpointing = next(callback for callback in member.callbacks if isinstance(callback, Checkpointing))
        trainer = L.Trainer(
            **settings,
            max_epochs=length.epochs,
            max_steps=length.total_steps,
            limit_train_batches=length.steps_per_epoch,
            limit_val_batches=int(config.trainer.fast_dev_run) or config.trainer.limit_val_batches,
            limit_test_batches=int(config.trainer.fast_dev_run) or config.trainer.limit_test_batches,
            val_check_interval=length.step_by_step().chunks_between_validations,
            log_every_n_steps=config.trainer.log_every_n_steps,
            gradient_clip_val=config.trainer.gradient_clip_val,
            gradient_clip_algorithm=config.trainer.gradient_clip_algorithm,
            callbacks=[*member.callbacks, Interruption(checkpointing.save_last), *bar],
            logger=member.loggers or False,
            plugins=[BackgroundCheckpointIO()],
            default_root_dir=member.directory,
        )
        member.trainer = trainer  # type: ignore[assignment]
        return member.module, data, trainer
    stack = Stack(members)
    trainer = L.Trainer(
        **settings,
        max_epochs=length.epochs,
        val_check_interval=length.chunks_between_validations,
        log_every_n_steps=1,
        callbacks=[MemberHooks(stack), Interruption(stack.save_last), *bar],
        logger=False,
        enable_checkpointing=False,  # each member saves its own checkpoints
        # Without an explicit environment Lightning would detect SLURM, and install its handlers for requeueing.
        plugins=[MemberCheckpointIO(members), WorldEnvironment(world)],
        default_root_dir=members[0].directory,
    )
    return stack, ChunkedData(data, length, [member.config for member in members]), trainer


def _trainer_arguments(config: Config, world: World) -> dict[str, Any]:
    """Arguments of lightning.Trainer: keys of `trainer` passed on as they are; devices and strategy of this rank."""
    set_elsewhere = keys_where(by_engine)
    settings = {name: value for name, value in asdict(config.trainer).items() if f"trainer.{name}" not in set_elsewhere}
    settings |= device_arguments(config.trainer, world)
    settings["strategy"] = "auto" if world.size == 1 else SharedMinibatches()
    return settings


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


def _parameters(module: DigitClassifier) -> int:
    return sum(parameter.numel() for parameter in module.network.parameters())
