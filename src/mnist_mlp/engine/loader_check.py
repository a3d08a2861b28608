"""Check of the loaders of a data module, which the engine replaces by its own.

The engine reads the data module's `parts`. So loaders that give other batches would have no effect, and are refused.
"""

from __future__ import annotations

from copy import copy
from math import ceil
from types import SimpleNamespace
from typing import Any

import lightning as L
import torch
from torch import Tensor

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.loader import EvaluationLoader, Part, TrainLoader
from mnist_mlp.data.seeding import epoch_order


class _TrainerAtStep:
    """A stand-in for the trainer: one rank, on the CPU, at one step; all other attributes are the real trainer's."""

    global_rank, world_size, limit_train_batches = 0, 1, 1.0
    training = False

    def __init__(self, trainer: L.Trainer, epoch: int, step: int) -> None:
        self.trainer, self.current_epoch, self.global_step = trainer, epoch, step
        self.strategy = SimpleNamespace(root_device=torch.device("cpu"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trainer, name)


def refuse_other_loaders(datamodule: DigitsDataModule, batch_size: int, trainer: L.Trainer) -> None:
    """Check that the loaders give the engine's batches.

    In training, two minibatches are compared: the first of epoch 0, and the last of epoch 1.

    Args:
        batch_size: images in one optimizer step.

    Raises:
        ConfigError: the engine would train, validate or test on other batches than these loaders give.
    """
    batches = ceil(len(datamodule.parts["train"][1]) / batch_size)
    minibatches = ((0, 0), (1, batches - 1))
    same = all(_gives_minibatch(datamodule, epoch, batch, batch_size, trainer) for epoch, batch in minibatches)
    own = copy(datamodule)
    own.trainer = _TrainerAtStep(trainer, 0, 0)  # type: ignore[assignment]
    for name, unchanged in {
        "train_dataloader": same,
        "val_dataloader": _is_project_loader(own.val_dataloader(), own.parts["val"], own.config.data.batch_size),
        "test_dataloader": _is_project_loader(own.test_dataloader(), own.parts["test"], own.config.data.batch_size),
    }.items():
        if not unchanged:
            raise ConfigError(
                f"{type(datamodule).__name__}.{name}: engine=fast does not use this loader; engine=plain does"
            )
    batch = datamodule.parts["train"][0][:2], datamodule.parts["train"][1][:2]
    if not _is_batch(own.on_after_batch_transfer(batch, 0), batch):
        raise ConfigError(
            f"{type(datamodule).__name__}.on_after_batch_transfer: expected to leave a batch as it is unless "
            "trainer.training is set: engine=fast calls it in training only; engine=plain also in validation and test"
        )


def _gives_minibatch(datamodule: DigitsDataModule, epoch: int, batch: int, batch_size: int, trainer: L.Trainer) -> bool:
    """Whether the training loader of a run that was resumed just before this minibatch gives it first."""
    images, labels = datamodule.parts["train"]
    batches, config = ceil(len(labels) / batch_size), datamodule.config
    own = copy(datamodule)
    own.trainer = _TrainerAtStep(trainer, epoch, epoch * batches + batch)  # type: ignore[assignment]
    loader: Any = own.train_dataloader()
    if type(loader) is not TrainLoader or len(loader) != batches:
        return False
    loader.set_epoch(epoch)
    order = epoch_order(len(labels), config.seed, 0 if config.trainer.overfit_batches else epoch)
    indices = order.split(batch_size)[batch]
    return _is_batch(next(iter(loader), ()), (images[indices], labels[indices]))


def _is_batch(given: Any, expected: Part) -> bool:
    """Whether it is this batch, image for image and label for label."""
    return len(given) == 2 and all(
        isinstance(one, Tensor) and one.dtype == other.dtype and torch.equal(one.cpu(), other)
        for one, other in zip(given, expected, strict=True)
    )


def _is_project_loader(loader: Any, part: Part, batch_size: int) -> bool:
    """Whether it is the project's own loader over all of the part, without a copy of it."""
    if type(loader) is not EvaluationLoader or loader.batch_size != batch_size:
        return False
    pairs = zip((loader.images, loader.labels), part, strict=True)
    return all(ours.shape == whole.shape and ours.data_ptr() == whole.data_ptr() for ours, whole in pairs)
