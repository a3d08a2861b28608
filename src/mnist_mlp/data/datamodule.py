"""The LightningDataModule: a data set in memory, its split, and the loaders over them."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from mnist_mlp.config.schema import DataConfig, TrainerConfig
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.loader import EvaluationLoader, TrainingLoader
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.data.split import split
from mnist_mlp.engine.run_length import limited, plan


class DigitsDataModule(L.LightningDataModule):
    """Each part is `(images (N, 784) uint8, labels (N,) int64)`, on the device that trains."""

    def __init__(self, dataset: Dataset, data: DataConfig, trainer: TrainerConfig, seed: int) -> None:
        super().__init__()
        train, val = split(dataset.train_labels, data.val_size)
        self.budget = plan(data, trainer, images=len(train))
        self.seed = seed
        self.overfits = bool(trainer.overfit_batches)
        if self.overfits:
            few = self.budget.steps_per_epoch * self.budget.batch_size
            val = train[epoch_order(len(train), seed, 0)[:few].numpy()]
        limits = {"val": trainer.limit_val_batches, "test": trainer.limit_test_batches}
        self.parts = {
            "train": _tensors(dataset.train_images, dataset.train_labels, train),
            "val": _tensors(dataset.train_images, dataset.train_labels, val),
            "test": _tensors(dataset.test_images, dataset.test_labels, np.arange(len(dataset.test_labels))),
        }
        for name, limit in limits.items():
            images, labels = self.parts[name]
            batches = -(-len(images) // data.batch_size)
            few = int(trainer.fast_dev_run) if trainer.fast_dev_run else limited(limit, batches)
            self.parts[name] = images[: few * data.batch_size], labels[: few * data.batch_size]

    def train_dataloader(self) -> TrainingLoader:
        assert self.trainer is not None
        images, labels = self._on_device("train")
        return TrainingLoader(
            images,
            labels,
            budget=self.budget,
            seed=self.seed,
            first_step=self.trainer.global_step,
            same_order=self.overfits,
            rank=self.trainer.global_rank,
            processes=self.trainer.world_size,
        )

    def val_dataloader(self) -> EvaluationLoader:
        return EvaluationLoader(*self._own("val"))

    def test_dataloader(self) -> EvaluationLoader:
        return EvaluationLoader(*self._own("test"))

    def _own(self, part: str) -> tuple[Tensor, Tensor]:
        """What this process evaluates: every image belongs to exactly one."""
        assert self.trainer is not None
        rank, processes = self.trainer.global_rank, self.trainer.world_size
        images, labels = (values.tensor_split(processes)[rank] for values in self._on_device(part))
        return images, labels

    def _on_device(self, part: str) -> tuple[Tensor, Tensor]:
        assert self.trainer is not None
        images, labels = self.parts[part]
        device = self.trainer.strategy.root_device
        return images.to(device), labels.to(device)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches come out of tensors that are there already."""
        return batch


def _tensors(images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
    """The chosen images and labels, copied."""
    flat = images.reshape(len(images), -1)
    return torch.from_numpy(flat[chosen]), torch.from_numpy(labels[chosen].astype(np.int64))
