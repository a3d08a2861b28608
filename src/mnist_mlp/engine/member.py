"""One job of a stack: everything that it would have as a run of its own."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import Logger
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torch.optim import Optimizer

from mnist_mlp.callbacks.checkpointing import Checkpoints, PlainCheckpointIO
from mnist_mlp.callbacks.history import History
from mnist_mlp.config.errors import DivergedError, UserError
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.loader import Chunk
from mnist_mlp.engine.run_length import Budget
from mnist_mlp.extras.calibration.calibrate import calibrate
from mnist_mlp.extras.stacked_launcher.grouping import Job
from mnist_mlp.extras.tensorboard.dashboard import Dashboard
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.runs.loggers import build_loggers, log_final
from mnist_mlp.runs.result import Result
from mnist_mlp.training import description

log = logging.getLogger(__name__)


class Member:
    """Its network and its optimizer are real ones whose tensors are rows of the stack, so that callbacks, checkpoints
    and tests of a single run serve here as they are; only the trainer that they see is a `MemberTrainer`.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.config, self.directory = job, job.config, job.directory
        self.result = Result(directory=job.directory, seed=job.config.seed, config=asdict(job.config))
        self.log_files = _file_handlers(job.logging) if job.logging else []
        self.failed = False
        self.chunk: Chunk
        """the batch that callbacks are shown"""
        self.outputs: dict[str, Tensor]
        """and what came of it"""
        self.logits: Tensor
        """and those of a batch of validation"""
        self.diverged: DivergedError | None = None
        self.loggers: list[Logger] = []
        self._life = self._live()
        self.enter_next_phase()

    def _live(self) -> Iterator[None]:
        """The same phases as `training.train`; `enter_next_phase` and `end` move from one `yield` to the next."""
        with self.result.written():
            with self.result.timed("setup"):
                yield
            try:
                with self.result.timed("fit"):
                    yield
            finally:
                for logger in self.loggers:
                    logger.finalize("success")
                if hasattr(self, "history"):
                    self.result.take_history(self.history.rows, self.checkpoints.best_epoch)
                    self.result.metrics |= self.checkpoints.best_validation
            yield  # calibration
            with self.result.timed("test"):
                yield
            log_final(self.loggers, self.result.metrics, self.trainer.global_step)

    def enter_next_phase(self) -> None:
        next(self._life, None)

    def end(self, error: BaseException) -> None:
        """Stop here, as a run of its own would for this error."""
        self.failed = True
        with suppress(type(error)):
            self._life.throw(error)  # type: ignore[attr-defined]

    def build(self, dataset: Dataset, budget: Budget) -> None:
        L.seed_everything(self.config.seed, verbose=False)
        self.classifier = DigitClassifier(self.config, budget)
        self.result.parameters = sum(parameter.numel() for parameter in self.classifier.network.parameters())
        self.history = History()
        self.checkpoints = Checkpoints(
            self.directory, budget, description(self.config, dataset), self.config.checkpoint.every_seconds
        )
        self.callbacks: list[L.Callback] = [self.history, self.checkpoints]
        if self.config.dashboard.snapshots and self.config.logger.tensorboard:
            self.callbacks.append(Dashboard(self.config, dataset.class_names, budget.epochs))

    def join(self, trainer: L.Trainer) -> None:
        """Move to where the trainer computes, and take part in what it does."""
        self.classifier.to(trainer.strategy.root_device)
        trainer.precision_plugin.convert_module(self.classifier)
        self.optimizer = self.classifier.configure_optimizers()
        self.loggers = build_loggers(self.config, self.directory, None)
        for logger in self.loggers:
            logger.save()  # as Lightning does before the first step
        self.trainer = MemberTrainer(trainer, self)

    def take_steps(self, losses: Tensor, outputs: Tensor, first_step: int) -> None:
        """Losses `(steps,)` and outputs `(images, 10)` of the chunk."""
        self.outputs = {"losses": losses}
        try:
            self.classifier.take_steps(self.chunk, losses, outputs, first_step)
        except DivergedError as error:
            self.diverged = error

    def call(self, hook: str, callback: L.Callback, *arguments: Any) -> None:
        """Let a callback know; an error that ends a single run ends this member alone."""
        try:
            with self.speaking():
                getattr(callback, hook)(self.trainer, self.classifier, *arguments)
        except UserError as error:
            self.fail(error)

    def fail(self, error: UserError) -> None:
        self.end(error)
        words = "job %s failed: %s", self.job.number, error
        log.error(*words)
        with self.speaking():
            log.error(*words)

    def calibrate(self, data: DigitsDataModule) -> None:
        if len(data.parts["val"][0]) > 0:
            calibrate(files.find(self.directory), data.parts["val"], data.parts["train"], self.config)

    def test(self, data: DigitsDataModule) -> None:
        """Test the best network once, unless there is nothing to test it on."""
        if len(data.parts["test"][0]) == 0:
            return
        self.classifier.load_state_dict(files.read(files.find(self.directory))["state_dict"])
        self.classifier.eval()
        with torch.inference_mode():
            for index, batch in enumerate(data.test_dataloader()):
                self.classifier.test_step(batch, index)
        self.result.metrics |= {name: float(value) for name, value in self.classifier.evaluation("test").items()}

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Whatever is logged meanwhile goes to the job's own files."""
        root = logging.getLogger()
        before, root.handlers = root.handlers, self.log_files
        try:
            yield
        finally:
            root.handlers = before
            for handler in self.log_files:
                handler.close()  # opened again at the next word: a sweep may have more jobs than a process files


def _file_handlers(settings: dict[str, Any]) -> list[logging.Handler]:
    """Those of the root logger under `settings`, which are not in force afterwards."""
    root = logging.getLogger()
    before = root.handlers[:]
    logging.config.dictConfig(settings)
    found: list[logging.Handler] = [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]
    root.handlers = before
    return found


class MemberTrainer:
    """The trainer of the stack as the callbacks of one member see it."""

    def __init__(self, trainer: L.Trainer, member: Member) -> None:
        self._trainer = trainer
        self.lightning_module = member.classifier
        self.optimizers: list[Optimizer] = [member.optimizer]
        self.loggers = member.loggers
        self.callback_metrics: dict[str, Tensor] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trainer, name)


class MemberCheckpointIO(PlainCheckpointIO):
    """Puts a member's own part into what the trainer of the stack saves; the directory tells whose it is."""

    def __init__(self, members: list[Member]) -> None:
        self.members = {member.checkpoints.directory: member for member in members}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        member = self.members[Path(path).parent]
        content = {
            **checkpoint,
            "state_dict": _own(member.classifier.state_dict()),
            "optimizer_states": [_own(member.optimizer.state_dict())],
            "callbacks": {
                **checkpoint["callbacks"],
                **{callback.state_key: state for callback in member.callbacks if (state := callback.state_dict())},
            },
        }
        for callback in member.callbacks:
            callback.on_save_checkpoint(member.trainer, member.classifier, content)  # type: ignore[arg-type]
        member.classifier.on_save_checkpoint(content)
        super().save_checkpoint(content, path)


def _own(state: Any) -> Any:
    """A copy: a view would take the rows of all members into the file."""
    return apply_to_collection(state, Tensor, torch.clone)
