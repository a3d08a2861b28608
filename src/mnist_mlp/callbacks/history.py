"""History of a run: metrics of each epoch as a row for result.json, as a line on the console, and for the loggers."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor
from torch.nn.utils import get_total_norm

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.runs.metric_text import metric_text

log = logging.getLogger(__name__)

STAGES = ("train/", "val/", "test/")
NOT_METRICS = ("epoch", "lr", "seconds")  # columns of a row that are not metrics


class History(Checkpoint):
    """Rows of metrics, one per epoch; scalars for the loggers, every `log_every_n_steps` steps and at epoch ends.

    A point is one set of scalars written to the loggers within an epoch. Lightning calls a `Checkpoint` after the
    module and the other callbacks, so a row has what these log in `on_train_epoch_end` too.
    """

    def __init__(self, log_every_n_steps: int, total_steps: int) -> None:
        """A point is logged at epoch ends, and when the step reaches or passes a multiple of `log_every_n_steps`: the
        engine reports many steps at once.
        """
        self.log_every_n_steps, self.total_steps = log_every_n_steps, total_steps
        self.rows: list[dict[str, Any]] = []
        self.validated: dict[str, float] = {}
        """metrics of the latest validation in this epoch"""
        # Spent on this epoch and on this point before the run was stopped and resumed.
        self._seconds_before = self._point_seconds_before = 0.0
        self._epoch_began = self._point_began = time.perf_counter()
        self._lr = 0.0  # of the latest step
        self._step = 0  # number of the latest step
        self._losses: list[Tensor] = []  # of the steps since the latest point
        self._images = 0  # in these steps

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "validated": self.validated,
            "seconds": time.perf_counter() - self._epoch_began,
            "losses": [losses.cpu() for losses in self._losses],
            "images": self._images,
            "point_seconds": time.perf_counter() - self._point_began,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.validated = state_dict["rows"], state_dict["validated"]
        self._seconds_before = state_dict["seconds"]
        self._losses, self._images = list(state_dict.get("losses", ())), state_dict.get("images", 0)
        self._point_seconds_before = state_dict.get("point_seconds", 0.0)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        now = time.perf_counter()
        self._epoch_began, self._point_began = now - self._seconds_before, now - self._point_seconds_before
        self._step = trainer.global_step
        self._losses = [losses.to(pl_module.device) for losses in self._losses]  # of a checkpoint

    def on_train_epoch_start(self, *_: Any) -> None:
        # Not at the end of the epoch: if `max_steps` ended the run within it, a longer run continues it, and Lightning
        # does not call this hook again.
        self.validated = {}

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self._lr = _lr(trainer)  # not at the end of the batch: Lightning's own loop steps the schedule before that
        if not self._losses:
            self._point_began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        losses, images = losses_and_image_count(outputs, batch)
        step_values = {}  # values logged with on_step=True; with engine=plain Lightning writes them
        if _of_many_steps(outputs):
            self._lr, step_values = outputs["lr"], outputs["step_values"]
        if len(losses) > 0:
            self._losses.append(losses)
            self._images += images
        step, before = trainer.global_step, self._step
        self._step = step
        reached = step // self.log_every_n_steps > before // self.log_every_n_steps
        last = batch_idx + 1 == trainer.num_training_batches or step == self.total_steps
        if self._losses and (reached or last):
            self._log_point(trainer, step_values)

    def _log_point(self, trainer: L.Trainer, step_values: dict[str, Tensor]) -> None:
        seconds = time.perf_counter() - self._point_began
        scalars = {name: float(value) for name, value in step_values.items()} | {
            # The mean of what `training_step` returned since the latest point. With `model.adversarial` that is not the
            # loss of the images as they are, which `train/loss` is.
            "train/loss_step": float(torch.cat(self._losses).mean()),
            "lr": self._lr,
            "gradient_norm": _gradient_norm(trainer.optimizers[0]),
            "images_per_second": self._images / seconds,
        }
        self._losses, self._images = [], 0
        _log(trainer, scalars)

    def on_validation_end(self, trainer: L.Trainer, *_: Any) -> None:
        # Copied here, as `callback_metrics` keeps old values in epochs without a validation.
        if not trainer.sanity_checking:
            self.validated = stage_metrics("val", trainer)
            if _in_engine(trainer):
                _log(trainer, self.validated)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        trained, others = stage_metrics("train", trainer), _other_metrics(trainer)
        now = time.perf_counter()
        row = {
            "epoch": trainer.current_epoch,
            **dict.fromkeys(("train/loss", "val/loss", "val/acc")),  # None if there was no validation
            **(trained | self.validated | others),
            "lr": self._lr,
            "seconds": now - self._epoch_began,
        }
        self._epoch_began = now
        # There is a row for this epoch already if max_steps, say, ended the run within it, and the run was resumed with
        # a larger limit. The row is replaced.
        row["seconds"] += sum(old["seconds"] for old in self.rows if old["epoch"] == trainer.current_epoch)
        self.rows = [*(old for old in self.rows if old["epoch"] < trainer.current_epoch), row]
        if _in_engine(trainer):
            _log(trainer, trained | others)
        log.info(_line(row, epochs=trainer.max_epochs))


def _in_engine(trainer: L.Trainer) -> bool:
    """Whether `trainer` is a `MemberTrainer`, which leaves it to `History` to log what `self.log` has collected."""
    return not isinstance(trainer, L.Trainer)


def losses_and_image_count(outputs: Any, batch: Any) -> tuple[Tensor, int]:
    """Losses `(steps,)` and number of images in a batch of Lightning: a single step, or many steps of the engine."""
    if _of_many_steps(outputs):
        return outputs["losses"], outputs["images"]
    return loss_of(outputs).detach().reshape(1), len(batch[1])


def _of_many_steps(outputs: Any) -> bool:
    """Whether `outputs` are those of the engine (`Member.outputs`), not of one `training_step`."""
    return isinstance(outputs, dict) and "step_values" in outputs


def loss_of(output: Any) -> Tensor:
    """The loss in what `training_step` returned.

    Raises:
        ConfigError: there is none (Lightning would skip such a batch), or it is no tensor.
    """
    loss = output.get("loss") if isinstance(output, dict) else output
    if loss is None:
        raise ConfigError("training_step: expected a loss for each batch, got None")
    if not isinstance(loss, Tensor):
        raise ConfigError(f"training_step: expected a loss, or a dictionary with one, got a {type(loss).__name__}")
    return loss


def _lr(trainer: L.Trainer) -> float:
    return float(trainer.optimizers[0].param_groups[0]["lr"])


def stage_metrics(stage: str, trainer: L.Trainer) -> dict[str, float]:
    """Metrics of `train`, `val` or `test` that have been logged, under their whole names."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(f"{stage}/")}


def _other_metrics(trainer: L.Trainer) -> dict[str, float]:
    """Metrics that a module or a callback logs under a name without `train/` or `val/`."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if _is_other_metric(name)}


def _is_other_metric(name: str) -> bool:
    return not name.startswith(STAGES) and name not in NOT_METRICS


def _gradient_norm(optimizer: torch.optim.Optimizer) -> float | None:
    """L2 norm over all parameters, after clipping, at the latest step; None if gradients are not kept."""
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return float(get_total_norm(gradients)) if gradients else None


def _log(trainer: L.Trainer, scalars: Mapping[str, float | None]) -> None:
    known = {name: value for name, value in scalars.items() if value is not None}
    for logger in trainer.loggers:
        logger.log_metrics(known, step=trainer.global_step)


def _line(row: dict[str, Any], epochs: int | None) -> str:
    """The line of an epoch for the console; longer than 80 columns, it is one line for each stage and other metric."""
    head, end = f"epoch {row['epoch'] + 1:>3}/{epochs}", f"{row['seconds']:.1f} s"
    stages = [f"{stage}{words}" for stage in ("train", "val") if (words := _metrics(row, f"{stage}/"))]
    parts = [*stages, *(f"{name} {metric_text(name, row[name])}" for name in row if _is_other_metric(name))]
    line = "  ".join([head, *parts, end])
    if len(line) <= 80:
        return line
    *others, last = parts
    return f"{head}  " + f"\n{' ' * len(head)}  ".join([*others, f"{last}  {end}"])


def _metrics(row: dict[str, Any], prefix: str) -> str:
    """The loss and the metrics of one stage: ` loss 0.0612 acc 98.12% f1 98.05%`; nothing if none was measured."""
    names = [name for name in row if name.startswith(prefix) and row[name] is not None]
    return "".join(f" {name.removeprefix(prefix)} {_aligned(metric_text(name, row[name]))}" for name in names)


def _aligned(written: str) -> str:
    """Six characters wide, as most percentages are, so that the columns of successive epochs line up."""
    return "  100%" if written == "100.00%" else f"{written:>6}"
