"""Length of a run in optimizer steps, computed from the configuration before training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.config.schema_trainer import TrainerConfig
from mnist_mlp.data.limits import limit_batches


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


def plan(data: DataConfig, trainer: TrainerConfig, images: int) -> RunLength:
    """The length of a run over `images` training images.

    Raises:
        ConfigError: the limits leave no step to train.
    """
    batch_size = data.batch_size * trainer.accumulate_grad_batches
    in_epoch = math.ceil(images / batch_size)
    steps = limit_batches(trainer.limit_train_batches, in_epoch)
    epochs = trainer.max_epochs
    if trainer.overfit_batches:
        steps = limit_batches(trainer.overfit_batches, in_epoch)
    if trainer.fast_dev_run:
        steps, epochs = min(int(trainer.fast_dev_run), steps), 1
    total = steps * epochs if trainer.max_steps == -1 else min(trainer.max_steps, steps * epochs)
    if total == 0:
        raise ConfigError("trainer: max_epochs, max_steps and limit_train_batches leave no step to train")
    interval = 1.0 if trainer.fast_dev_run else trainer.val_check_interval  # as Lightning does under fast_dev_run
    steps_between = interval if isinstance(interval, int) else max(1, int(steps * interval))
    if steps_between > steps:
        raise ConfigError(
            f"trainer.val_check_interval: expected at most the {steps} batches of an epoch, got {interval}"
        )
    return RunLength(
        batch_size=batch_size, steps_per_epoch=steps, total_steps=total, steps_between_validations=steps_between
    )
