"""Training: from a typed configuration to a directory with a result. `train` reads from top to bottom."""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch

from mnist_mlp.callbacks import build_callbacks
from mnist_mlp.callbacks.checkpointing import Checkpointing
from mnist_mlp.callbacks.history import History
from mnist_mlp.callbacks.interruption import Interruption
from mnist_mlp.callbacks.progress_bar import RunBar
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import by_engine, keys_where, limits_run
from mnist_mlp.config.optional import optional
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.distributed.hardware import cpu_threads, uses_gpu
from mnist_mlp.distributed.launch import launched
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.distributed.strategy import KnownWorld, SharedMinibatches, own_device
from mnist_mlp.distributed.world import World
from mnist_mlp.engine.chunked_data import ChunkedData, limited_part
from mnist_mlp.engine.hooks import MemberHooks
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.member import Member, MemberCheckpointIO
from mnist_mlp.engine.run_length import RunLength, plan
from mnist_mlp.engine.stack import Stack
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.runs import directories as runs
from mnist_mlp.runs.checkpoint_io import PlainCheckpointIO
from mnist_mlp.runs.loggers import build_loggers, log_final
from mnist_mlp.runs.result import Result, versions
from mnist_mlp.runs.resume import occupied, refuse_changes
from mnist_mlp.runs.signals import interruptible, uninterrupted

log = logging.getLogger(__name__)


def train(config: Config, directory: Path, *, callbacks: Sequence[L.Callback] = (), test: bool = True) -> Result:
    """Train, validate, and test the best network once; with `config.resume`, go on from what `directory` holds.

    Leaves checkpoints, logs and, however it ends, result.json in `directory`. A search has `callbacks` that may stop
    the run, and leaves the `test` out.
    """
    require_machine(config)
    directory = Path(directory)
    before = runs.read(directory)
    if config.resume and before.status == runs.COMPLETED and _same_length(config, before.result["config"]):
        log.info("%s is complete already", directory)
        return Result.of(before)
    return train_stack([Job(config=config, directory=directory)], callbacks=[callbacks], test=test)[0]


def train_stack(
    jobs: Sequence[Job], *, callbacks: Sequence[Sequence[L.Callback]] | None = None, test: bool = True
) -> list[Result]:
    """Several runs of one shape at once, each with its own `callbacks`; a single run is a stack of one.

    A job that fails or is pruned ends alone. What ends all of them, a signal for one, is raised.
    """
    config = jobs[0].config
    results = [_open_result(job) for job in jobs]
    ranks = launched(config, jobs[0].directory, on_loss=results[0].lost)
    with _occupied(jobs), interruptible(), _written(results) as closing, ranks as world:
        with _timed(results, "setup"):
            data = DigitsDataModule(config)
            data.prepare_data()
            data.setup()
            length = plan(config.data, config.trainer, images=len(data.parts["train"][0]))
            modules = [_build_module(job, data) for job in jobs]
            _prepare_torch(config, modules, length, world)
            starts = _starting_points(jobs)
            members = [
                _build_member(*own, data=data, length=length)
                for own in zip(jobs, modules, results, starts, closing, callbacks or [()] * len(jobs), strict=True)
            ]
            model, loaders, trainer = _build_trainer(config, members, data, length, world)
        with _timed(results, "fit"):
            trainer.fit(model, datamodule=loaders, ckpt_path=starts[0], weights_only=True)
        trained = [member for member in members if member.error is None]
        if world.rank == 0:
            _calibrate(trained, data)
        if test and len(data.parts["test"][0]) > 0 and config.trainer.limit_test_batches:
            with _timed(results, "test"):
                _test_best(trained, trainer, model, loaders)
        for member in trained:
            member.collect()
            log_final(member.loggers, member.result.metrics, member.trainer.global_step)
    return results


def _open_result(job: Job) -> Result:
    result = Result(directory=job.directory, seed=job.config.seed, config=asdict(job.config))
    if job.config.resume:
        result.go_on_from(runs.read(job.directory))
    return result


@contextmanager
def _occupied(jobs: Sequence[Job]) -> Iterator[None]:
    """Be the only process that writes into the jobs' directories."""
    with ExitStack() as stack:
        for job in jobs:
            stack.enter_context(occupied(job.directory, job.config))
        yield


@contextmanager
def _written(results: Sequence[Result]) -> Iterator[list[ExitStack]]:
    """Write each result when the block ends, or when its own stack of what is left to do is closed before."""
    closing = [ExitStack() for _ in results]
    try:
        for result, end in zip(results, closing, strict=True):
            end.enter_context(result.written())
        yield closing
    except BaseException as error:
        with uninterrupted():
            for end in closing:
                with suppress(type(error)):
                    end.__exit__(type(error), error, error.__traceback__)
        raise
    for end in closing:
        end.close()


@contextmanager
def _timed(results: Sequence[Result], part: str) -> Iterator[None]:
    with ExitStack() as stack:
        for result in results:
            stack.enter_context(result.timed(part))
        yield


def _build_module(job: Job, data: DigitsDataModule) -> DigitClassifier:
    L.seed_everything(job.config.seed, verbose=False)
    return DigitClassifier(job.config, data.spec)


def _build_member(
    job: Job,
    module: DigitClassifier,
    result: Result,
    start: Path | None,
    closing: ExitStack,
    callbacks: Sequence[L.Callback],
    *,
    data: DigitsDataModule,
    length: RunLength,
) -> Member:
    """The network of one job, with all that watches it."""
    config = job.config
    own_data = copy.copy(data)
    own_data.config = config
    result.parameters = _parameters(module)
    history = History(config.trainer.log_every_n_steps)
    checkpointing = Checkpointing(job.directory, config.checkpoint, length, description(config, data))
    watching = [history, *build_callbacks(config.callbacks), *callbacks, checkpointing]
    if config.dashboard.snapshots and config.logger.tensorboard and (dashboard := optional("dashboard")):
        watching.append(dashboard(config, data.spec.class_names, length.epochs))
    content = files.read(start) if start else None
    loggers = build_loggers(config, job.directory, again_from=content["global_step"] + 1 if content else None)

    def collect() -> None:
        """Put what the callbacks know into the result."""
        result.take_history(history.rows, checkpointing.best_epoch)
        result.metrics |= checkpointing.best_validation  # of several in its epoch, perhaps not the last

    def finalize() -> None:
        for logger in loggers:
            logger.finalize("success")

    closing.callback(collect)
    closing.callback(finalize)
    return Member(job, module, own_data, length, watching, loggers, content, result, collect, closing)


def _build_trainer(
    config: Config, members: Sequence[Member], data: DigitsDataModule, length: RunLength, world: World
) -> tuple[L.LightningModule, L.LightningDataModule, L.Trainer]:
    """The engine's module, data and trainer, or with engine=plain those of an ordinary Lightning project."""
    _quieten_lightning()
    bar = [RunBar(length)] if config.trainer.enable_progress_bar and world.rank == 0 else []
    if config.engine == "plain":
        member = members[0]
        checkpointing = next(callback for callback in member.callbacks if isinstance(callback, Checkpointing))
        trainer = L.Trainer(
            **_settings(config, world),
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
            plugins=[PlainCheckpointIO()],
            default_root_dir=member.directory,
        )
        member.trainer = trainer  # type: ignore[assignment]
        return member.module, data, trainer
    stack = Stack(members)
    trainer = L.Trainer(
        **_settings(config, world),
        max_epochs=length.epochs,
        val_check_interval=length.chunks_between_validations,
        log_every_n_steps=1,
        callbacks=[MemberHooks(stack), Interruption(stack.save_last), *bar],
        logger=False,
        enable_checkpointing=False,  # each member has its own
        # Lightning would look for SLURM and torchrun itself, and answer SLURM's signals in its own way.
        plugins=[MemberCheckpointIO(members), KnownWorld(world)],
        default_root_dir=members[0].directory,
    )
    return stack, ChunkedData(data, length, [member.config for member in members]), trainer


def _settings(config: Config, world: World) -> dict[str, Any]:
    """The keys that lightning.Trainer gets as they are, and where it computes."""
    ours = keys_where(by_engine)
    settings = {name: value for name, value in asdict(config.trainer).items() if f"trainer.{name}" not in ours}
    settings |= own_device(config.trainer, world)
    settings["strategy"] = "auto" if world.size == 1 else SharedMinibatches()
    return settings


def _calibrate(members: Sequence[Member], data: DigitsDataModule) -> None:
    """Fit temperature and refusal threshold of each best network on validation."""
    calibrate = optional("calibrate")
    if calibrate is None:
        return
    for member in members:
        val = limited_part(data.parts["val"], member.config.trainer.limit_val_batches, member.config)
        if len(val[0]) > 0:
            calibrate(files.find(member.directory), val, data.parts["train"], member.config)


def _test_best(
    members: Sequence[Member], trainer: L.Trainer, model: L.LightningModule, loaders: L.LightningDataModule
) -> None:
    """Test the best network of each run, once."""
    for member in members:
        member.module.load_state_dict(files.read(files.find(member.directory))["state_dict"])
    trainer.test(model, datamodule=loaders, verbose=False)
    for member in members:
        tested = {name: value for name, value in member.trainer.callback_metrics.items() if name.startswith("test/")}
        member.result.metrics |= {name: float(value) for name, value in tested.items()}


def _starting_points(jobs: Sequence[Job]) -> list[Path | None]:
    """The newest whole checkpoints of stopped runs that stand at one step; None where nothing had been saved yet.

    Raises:
        ConfigError: the jobs of a stack stand at different steps.
    """
    if not jobs[0].config.resume:
        return [None] * len(jobs)
    points = [_whole_checkpoints(job) for job in jobs]
    common = set.intersection(*(set(point) for point in points))
    if common:
        return [point[max(common)] for point in points]
    if any(points):
        raise ConfigError("resume: the jobs of a stack stand at different steps; each goes on alone")
    return [None] * len(jobs)


def saved_together(jobs: Sequence[Job]) -> list[list[Job]]:
    """Stopped jobs of one shape, divided into those that can go on side by side: a step was saved in all of them."""
    parts: list[tuple[set[int], list[Job]]] = []
    for job in jobs:
        steps = set(_whole_checkpoints(job)) if job.config.resume else set()
        for part, (common, members) in enumerate(parts):
            if common & steps or not (common or steps):
                parts[part] = (common & steps, [*members, job])
                break
        else:
            parts.append((steps, [job]))
    return [members for _, members in parts]


def _whole_checkpoints(job: Job) -> dict[int, Path]:
    """The checkpoints to go on from, by the optimizer steps that had been made."""
    found = {}
    for name in (files.PREVIOUS, files.LAST):
        path = job.directory / runs.CHECKPOINTS / name
        if not path.exists():
            continue
        try:
            content = files.read(path)
        except files.DamagedCheckpoint as error:
            log.warning("%s; going back to the checkpoint before it", error)
            continue
        refuse_changes(asdict(job.config), content["config"], scheduler=job.config.scheduler.name)
        found[content["global_step"]] = path
    return found


def _same_length(config: Config, before: dict[str, Any]) -> bool:
    limits = [name.removeprefix("trainer.") for name in keys_where(limits_run)]
    return all(asdict(config.trainer)[limit] == before["trainer"][limit] for limit in limits)


def description(config: Config, data: DigitsDataModule) -> dict[str, Any]:
    """What makes a checkpoint usable on its own; plain types only."""
    spec = data.spec
    return {
        "config": asdict(config),
        "class_names": list(spec.class_names),
        "image_shape": list(spec.image_shape),
        "normalisation": {"mean": _plain(spec.mean), "std": _plain(spec.std)},
        "data_sha256": data.dataset.sha256,
        "versions": versions(),
        "threads": torch.get_num_threads(),
    }


def _plain(channels: Sequence[float]) -> float | list[float]:
    return channels[0] if len(channels) == 1 else list(channels)


def _parameters(module: DigitClassifier) -> int:
    return sum(parameter.numel() for parameter in module.network.parameters())


def _prepare_torch(config: Config, modules: Sequence[DigitClassifier], length: RunLength, world: World) -> None:
    # Deterministic mode would also write NaN into every new tensor first; nothing here reads before it writes.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Threads that share every small product of a stack would wait for one another longer than they work.
    threads = cpu_threads(length.batch_size, _parameters(modules[0]), world.local_size) if len(modules) == 1 else 1
    torch.set_num_threads(config.threads or threads)
    if not uses_gpu(config.trainer.accelerator):
        # Adam asks at every step whether there is a GPU. Lightning has torch answer by loading NVIDIA's library anew;
        # without it an answer takes a hundredth of the time.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def _quieten_lightning() -> None:
    """Its greetings say what the summary says better; its warnings stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # between Lightning and torch
    # Our loader goes on in the middle of an epoch by itself, from the optimizer step.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # The command itself runs on the login node, or submitit has used srun already.
    warnings.filterwarnings("ignore", message=".*srun.* command is available on your system but is not used.*")
    warnings.filterwarnings("ignore", message=".*csv exists and is not empty.*")  # `loggers` keeps what is there
    # torchmetrics has summed over all processes before we log.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.* when logging on epoch level.*")
