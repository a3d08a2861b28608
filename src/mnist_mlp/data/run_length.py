"""Length of a run in optimizer steps, computed from the configuration before training; without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.config.schema_trainer import TrainerConfig


@dataclass(frozen=True, kw_only=True)
class RunLength:
    batch_size: int
    """images in one optimizer step"""
    steps_per_epoch: int
    total_steps: int
    steps_between_validations: int

    @property
    def epochs(self) -> int:
        """Number of epochs; the last one is shorter if `total_steps` is not a multiple of `steps_per_epoch`."""
        return math.ceil(self.total_steps / self.steps_per_epoch)

    def position(self, step: int) -> tuple[int, int]:
        """Completed epochs, and steps done in the next one, after `step` optimizer steps."""
        if step == self.total_steps:
            return self.epochs, 0
        return divmod(step, self.steps_per_epoch)


def limit_batches(limit: int | float, batches: int) -> int:
    """Batches to use out of `batches`, by Lightning's rule: an int is a number of batches, a float a fraction."""
    return min(limit, batches) if isinstance(limit, int) else int(batches * limit)


def images_per_step(data: DataConfig, trainer: TrainerConfig) -> int:
    """Number of images in one optimizer step, on all ranks together."""
    return data.batch_size * trainer.accumulate_grad_batches


def run_length(data: DataConfig, trainer: TrainerConfig, sizes: Mapping[str, int]) -> RunLength:
    """The length of a run.

    Args:
        sizes: number of images for `train`, `val` and `test`.

    Raises:
        ConfigError: the limits leave no step to train, or no batch of an evaluation that is not switched off.
    """
    batch_size = images_per_step(data, trainer)
    in_epoch = math.ceil(sizes["train"] / batch_size)
    limiting = "overfit_batches" if trainer.overfit_batches else "limit_train_batches"
    steps, epochs = limit_batches(getattr(trainer, limiting), in_epoch), trainer.max_epochs
    if trainer.fast_dev_run:
        steps, epochs = min(int(trainer.fast_dev_run), steps), 1
    total = steps * epochs if trainer.max_steps == -1 else min(trainer.max_steps, steps * epochs)
    if total == 0:
        raise ConfigError(f"trainer: max_epochs, max_steps and {limiting} leave no step to train")
    images = dict(sizes)
    if trainer.overfit_batches:  # also validates on the images of these batches
        images["val"] = min(steps * batch_size, sizes["train"])
    for stage in () if trainer.fast_dev_run else ("val", "test"):
        limit, batches = getattr(trainer, f"limit_{stage}_batches"), math.ceil(images[stage] / data.batch_size)
        if limit and batches and not limit_batches(limit, batches):
            raise ConfigError(
                f"trainer.limit_{stage}_batches: expected 0 or at least one of the {batches} batches, got {limit}"
            )
    interval = 1.0 if trainer.fast_dev_run else trainer.val_check_interval  # as Lightning does under fast_dev_run
    steps_between = interval if isinstance(interval, int) else max(1, int(steps * interval))
    if steps_between > steps:
        raise ConfigError(
            f"trainer.val_check_interval: expected at most the {steps} batches of an epoch, got {interval}"
        )
    return RunLength(
        batch_size=batch_size, steps_per_epoch=steps, total_steps=total, steps_between_validations=steps_between
    )
