"""LightningDataModule: download, split, and the loaders of a data set that fits in memory."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mnist_mlp.config.schema import Config
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.image_datamodule import ImageDataModule
from mnist_mlp.data.loader import EvaluationLoader, Part, TrainLoader
from mnist_mlp.data.normalisation import normalisation
from mnist_mlp.data.sources import load, require_plain_engine_for_own_loaders, source_of
from mnist_mlp.data.split import split
from mnist_mlp.model.networks import DataSpec


class DigitsDataModule(ImageDataModule):
    """Images and labels of one data set, for the stages `train`, `val`, `test` and `predict`."""

    resumes_within_epoch = True
    parts: dict[str, Part]
    """for each stage, images `(N, C, H, W)` uint8 and labels `(N,)` int64; set by `setup`"""

    @cached_property
    def dataset(self) -> Dataset:
        """The whole data set, verified; downloaded if it is not on the disk.

        Raises:
            ConfigError: the files are not those that `sources.describe` announced.
            DataError: every source failed; the message gives the reason of each.
        """
        return load(self.config.data)

    @property
    def sha256(self) -> str:
        return self.dataset.sha256

    @property
    def sizes(self) -> dict[str, int]:
        return {stage: len(labels) for stage, (_, labels) in self.parts.items()}

    @property
    def spec(self) -> DataSpec:
        mean, std = self._normalisation
        shape, names = self.dataset.image_shape, tuple(self.dataset.class_names)
        return DataSpec(image_shape=shape, class_names=names, mean=mean, std=std)

    @cached_property
    def _normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return normalisation(self.config.data, self.dataset)

    def prepare_data(self) -> None:
        """Download and verify, so that all processes of a run find the files."""
        self.dataset  # noqa: B018

    def setup(self, stage: str | None = None) -> None:
        """Split the official training images into `train` and `val`; `test` is the official test set.

        With `trainer.overfit_batches`, `val` is the first batches of the first training epoch instead. `training.train`
        trains on these alone; a Trainer of your own needs the same number as `limit_train_batches`.
        """
        if hasattr(self, "parts"):  # Lightning calls it for each stage
            return
        dataset, config = self.dataset, self.config
        train, val = split(dataset.train_labels, config.data.val_size)
        if (chosen := self.overfit_indices(len(train))) is not None:
            val = train[chosen.numpy()]
        test = _part(dataset.test_images, dataset.test_labels, np.arange(len(dataset.test_labels)))
        self.parts = {
            "train": _part(dataset.train_images, dataset.train_labels, train),
            "val": _part(dataset.train_images, dataset.train_labels, val),
            "test": test,
            "predict": test,
        }

    def train_dataloader(self) -> TrainLoader:
        rank, world_size = self.ranks
        return TrainLoader(
            self.on_device("train"),
            self.batch_size,
            self.config.seed,
            steps_done=lambda: self.trainer.global_step if self.trainer else 0,
            limit=self.trainer.limit_train_batches if self.trainer else 1.0,
            same_order=bool(self.config.trainer.overfit_batches),
            rank=rank,
            world_size=world_size,
        )

    def val_dataloader(self) -> EvaluationLoader:
        return self._evaluation_loader("val")

    def test_dataloader(self) -> EvaluationLoader:
        return self._evaluation_loader("test")

    def predict_dataloader(self) -> EvaluationLoader:
        return self._evaluation_loader("predict")

    def on_device(self, stage: str) -> Part:
        """Images and labels of a stage, on the training device."""
        images, labels = self.parts[stage]
        return images.to(self.device), labels.to(self.device)

    def _evaluation_loader(self, stage: str) -> EvaluationLoader:
        """Batches of `data.batch_size`, the unit of `limit_val_batches`; every image belongs to exactly one rank."""
        rank, world_size = self.ranks
        images, labels = (values.tensor_split(world_size)[rank] for values in self.on_device(stage))
        return EvaluationLoader((images, labels), self.config.data.batch_size)


def build_datamodule(config: Config) -> ImageDataModule:
    """The data module of the data set `data.name`: its own if it has one in `SOURCES`, else `DigitsDataModule`.

    Raises:
        ConfigError: there is no such data set, or it has a data module of its own, and `engine` is fast.
    """
    require_plain_engine_for_own_loaders(config)
    own = source_of(config.data).datamodule
    return DigitsDataModule(config) if own is None else own(config)


def _part(images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Part:
    """Images and labels at the indices `chosen`, copied."""
    taken: Tensor = torch.from_numpy(images[chosen])
    return taken, torch.from_numpy(labels[chosen].astype(np.int64))
