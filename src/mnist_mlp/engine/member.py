"""Member of a stack: one network with everything that it would have as a single run."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import Logger
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from mnist_mlp.callbacks.loop_progress import timer_state
from mnist_mlp.config.errors import DivergedError, Pruned, UserError
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.engine.chunked_length import ChunkedLength
from mnist_mlp.engine.configured_optimizer import OptimizerOf, optimizer_and_schedule
from mnist_mlp.engine.epoch_log import EpochLog
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.member_trainer import MemberTrainer
from mnist_mlp.engine.overrides import has_batch_hooks
from mnist_mlp.module import DigitClassifier

log = logging.getLogger(__name__)


class Member:
    """One network with its optimizer, callbacks and loggers; these get a `MemberTrainer` as their trainer."""

    def __init__(
        self,
        job: Job,
        module: DigitClassifier,
        datamodule: DigitsDataModule,
        length: ChunkedLength,
        *,
        callbacks: Sequence[L.Callback] = (),
        chosen_callbacks: Sequence[L.Callback] = (),
        loggers: Sequence[Logger] = (),
        start: dict[str, Any] | None = None,
        cleanup: ExitStack | None = None,
    ) -> None:
        """
        Args:
            chosen_callbacks: those of `callbacks` that the user chose; the others are the project's own.
            start: content of the checkpoint to resume from.
            cleanup: closes the loggers and writes result.json; closed early if this run fails alone.
        """
        self.job, self.config, self.directory = job, job.config, job.directory
        self.module, self.datamodule, self.length = module, datamodule, length
        self.callbacks, self.loggers, self.start = list(callbacks), list(loggers), start
        self.chosen_callbacks = list(chosen_callbacks)
        self.with_batch_hooks = [callback for callback in chosen_callbacks if has_batch_hooks(callback)]
        """callbacks whose hooks around a batch are called for each step; those of the others, for each chunk"""
        self.train_log, self.evaluation_log = EpochLog(), EpochLog()
        self.training = True
        """False after it has failed, or was stopped early"""
        self.error: UserError | Pruned | None = None
        self.cleanup = cleanup or ExitStack()
        self.outputs: dict[str, Any] = {}
        """what `on_train_batch_end` gets for a chunk: its last `loss`, its `losses` `(steps,)`, the number of its
        `images`, the `lr` of its last step, and `step_values`, the latest values logged with `on_step`"""
        self.last_lr = 0.0
        """learning rate of the latest step"""
        self.evaluation_output: Any = None
        """what `validation_step` or `test_step` returned for the latest batch"""
        self.trainer: MemberTrainer
        self.optimizer: Optimizer
        self.schedule: LRScheduler | None
        self._modes: list[tuple[Module, bool]] = []
        self._log_files: list[logging.Handler] | None = None

    def join(self, trainer: L.Trainer) -> None:
        """Attach to the trainer of the stack: move the module to its device, and build the optimizer."""
        self.trainer = MemberTrainer(trainer, self.module, self.datamodule, self.callbacks, self.loggers, self.length)
        self.module.trainer = self.datamodule.trainer = self.trainer  # type: ignore[assignment]
        self.log_to(self.train_log)
        self.module.to(trainer.strategy.root_device)
        trainer.precision_plugin.convert_module(self.module)
        self.optimizer, self.schedule = optimizer_and_schedule(self.module.configure_optimizers())
        self.trainer.optimizers = [self.optimizer]
        self.module.optimizers = OptimizerOf(self.optimizer)  # type: ignore[method-assign,assignment]

    def leave(self) -> None:
        """After the fit: the module has the methods of its class again, for a trainer of one's own."""
        vars(self.module).pop("optimizers", None)

    def copy_for_trial(self) -> Member:
        """A member with a copy of the weights and a new optimizer, to try a step without side effects."""
        # The data module is copied as well: it reads the step that determines its noise from its trainer, here the
        # trial's.
        trial = Member(self.job, type(self.module)(self.config, self.module.data), copy(self.datamodule), self.length)
        trial.module.load_state_dict(self.module.state_dict())
        trial.join(self.trainer.stack_trainer)
        return trial

    @property
    def lr_is_function_of_step(self) -> bool:
        """Whether the schedule is a plain `LambdaLR`. Any other has a state, which checkpoints hold, and is stepped."""
        return type(self.schedule) is LambdaLR

    def learning_rates(self, step: int) -> list[float]:
        """Learning rate of a step in each parameter group, where `lr_is_function_of_step`."""
        assert isinstance(self.schedule, LambdaLR)
        groups = zip(self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True)
        return [float(base * factor(step)) for base, factor in groups]

    def set_learning_rates(self, step: int) -> None:
        """Give the optimizer the learning rates of a step, where `lr_is_function_of_step`.

        As in Lightning's own loop they are those of the next step as soon as a step is done, and a hook in between may
        set others for that step.
        """
        for group, rate in zip(self.optimizer.param_groups, self.learning_rates(step), strict=True):
            group["lr"] = rate

    def log_to(self, epoch_log: EpochLog) -> None:
        """Make `self.log` of the module add to `epoch_log` from now on."""
        self.module.log = epoch_log.log  # type: ignore[method-assign,assignment]

    def begin_evaluation(self) -> None:
        """Put the module into evaluation mode, and let it log to `evaluation_log`."""
        self._modes = [(part, part.training) for part in self.module.modules()]
        self.module.eval()
        self.evaluation_log.reset()
        self.log_to(self.evaluation_log)

    def end_evaluation(self) -> None:
        """Give each part of the module the mode that it had before: one that a user froze stays in evaluation mode."""
        for part, training in self._modes:
            part.training = training

    def log_steps(self, losses: Sequence[float], sizes: Sequence[int], logits: Tensor, labels: Tensor) -> None:
        """Log what `training_step` would log.

        Args:
            losses: mean loss of each step, over the images of all ranks.
            sizes: images in each step, on all ranks together.
            logits: `(n, classes)` of all images of these steps on this rank; `labels` `(n,)` likewise.
        """
        # Every rank has these losses, and the sums of all ranks are added up. So only rank 0 counts their images.
        counted = self.trainer.global_rank == 0
        for loss, size in zip(losses, sizes, strict=True):
            self.train_log.add("train/loss", loss, size if counted else 0)
        metrics = self.module.metrics_of("train")
        if len(labels) > 0:  # a rank may have had no image
            metrics.update(self.module.network.head(logits), labels)
        self.train_log.metrics |= dict(metrics.items())

    def refuse_infinite(self, losses: Tensor, first_step: int) -> None:
        """Check the losses `(steps,)` of the steps from `first_step` on.

        Raises:
            DivergedError: a loss is not finite.
        """
        if not bool(losses.isfinite().all()):
            step = first_step + int((~losses.isfinite()).nonzero()[0])
            raise DivergedError(
                f"the loss became {float(losses[step - first_step])} at step {step}; earlier checkpoints are kept. "
                f"Try a smaller optimizer.lr (it is {self.config.optimizer.lr}) or trainer.gradient_clip_val=1.0"
            )

    def log_epoch(self, epoch_log: EpochLog) -> None:
        """Put the values of a training epoch, or of an evaluation, into `trainer.callback_metrics`."""
        self.trainer.callback_metrics |= epoch_log.compute(world_size=self.trainer.world_size)

    def fail(self, error: UserError | Pruned) -> None:
        """End this member as a single run would end for this error: log it, and write the result."""
        self.training, self.error = False, error
        if isinstance(error, UserError):
            words = ("job %s failed: %s", self.job.number, error)
            log.error(*words)
            if self.job.logging:
                with self.own_log_files():
                    log.error(*words)
        with suppress(type(error)):
            self.cleanup.__exit__(type(error), error, error.__traceback__)

    @contextmanager
    def own_log_files(self) -> Iterator[None]:
        """Log records in the block go to the job's own files, if it has any."""
        if not self.job.logging:
            yield
            return
        if self._log_files is None:
            self._log_files = _file_handlers(self.job.logging)
        root = logging.getLogger()
        before, root.handlers = root.handlers, self._log_files
        try:
            yield
        finally:
            root.handlers = before
            for handler in self._log_files:
                handler.close()  # reopened by the next record: a sweep may have more jobs than file descriptors

    def checkpoint(self, stack_checkpoint: dict[str, Any]) -> dict[str, Any]:
        """The checkpoint that Lightning would save for this run alone, from its checkpoint of the stack."""
        saved_schedule = [] if self.schedule is None or self.lr_is_function_of_step else [self.schedule]
        content = {
            **stack_checkpoint,
            "state_dict": _cloned(self.module.state_dict()),
            "optimizer_states": [_cloned(self.optimizer.state_dict())],
            "lr_schedulers": [schedule.state_dict() for schedule in saved_schedule],
            # Lightning's Timer, which counts `trainer.max_time`, belongs to the trainer of the stack.
            "callbacks": timer_state(stack_checkpoint)
            | {callback.state_key: state for callback in self.callbacks if (state := callback.state_dict())},
            "hyper_parameters": dict(self.module.hparams),
            # With several ranks `Stack.on_save_checkpoint` has summed it over them.
            "epoch_log": stack_checkpoint.get("epoch_log") or self.train_log.state_dict(self.module),
            "stopped": [callback.state_key for callback in self.callbacks] if self.trainer.should_stop else [],
        }
        for callback in self.callbacks:
            callback.on_save_checkpoint(self.trainer, self.module, content)  # type: ignore[arg-type]
        self.module.on_save_checkpoint(content)
        return content

    def restore(self, content: dict[str, Any]) -> None:
        """Restore the state in a checkpoint, before the first step."""
        self.module.on_load_checkpoint(content)
        self.module.load_state_dict(content["state_dict"])
        self.optimizer.load_state_dict(content["optimizer_states"][0])
        for schedule in content["lr_schedulers"]:
            assert self.schedule is not None
            self.schedule.load_state_dict(schedule)
        if self.lr_is_function_of_step:
            self.set_learning_rates(content["global_step"])
        for callback in self.callbacks:
            callback.on_load_checkpoint(self.trainer, self.module, content)  # type: ignore[arg-type]
            if state := content["callbacks"].get(callback.state_key):
                callback.load_state_dict(state)
        self.train_log.load_state_dict(content["epoch_log"], self.module, rank=self.trainer.global_rank)
        # A checkpoint does not say which callback stopped the run. So the run stays stopped only if every callback that
        # it had then is configured again; if one was removed, training goes on. Older checkpoints lack the list.
        stopped = set(content.get("stopped", ()))
        if stopped and stopped <= {callback.state_key for callback in self.callbacks}:
            self.trainer.should_stop = True


def _file_handlers(settings: dict[str, Any]) -> list[logging.Handler]:
    """File handlers that `settings` would give to the root logger, whose own handlers stay in place."""
    root = logging.getLogger()
    before = root.handlers[:]
    logging.config.dictConfig(settings)
    found: list[logging.Handler] = [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]
    root.handlers = before
    return found


def _cloned(state: Any) -> Any:
    """A copy of all tensors: saving a view would save the rows of all members."""
    return apply_to_collection(state, Tensor, torch.clone)
