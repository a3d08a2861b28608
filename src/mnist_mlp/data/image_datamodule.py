"""Base class of the data modules on which `training.train` trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import ceil

import lightning as L
import torch

from mnist_mlp.config.schema import Config
from mnist_mlp.data.augment import Augmentation, augments
from mnist_mlp.data.loader import Batch
from mnist_mlp.data.run_length import images_per_step, limit_batches
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.model.networks import DataSpec


class ImageDataModule(L.LightningDataModule, ABC):
    """A LightningDataModule of labelled images; `spec` and `sizes` say what its loaders hold.

    A batch is images `(B, C, H, W)` uint8 and labels `(B,)` int64. In training it has `self.batch_size` images, and an
    epoch ceil(sizes["train"] / self.batch_size) batches: the last one is not dropped.
    """

    resumes_within_epoch = False
    """whether the training loader of a resumed run continues with the next batch; else Lightning warns that the results
    may be unreliable"""
    first_step = 0
    """optimizer steps that earlier processes of this run have done; `open_run` sets it. The training loader skips their
    batches: that of `LoaderDataModule` by this number, that of `DigitsDataModule` by its trainer's `global_step`"""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        # Accumulation is computed as one larger batch: the same gradient in less time.
        self.batch_size = images_per_step(config.data, config.trainer)
        self._augmentation: Augmentation | None = None

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """Image shape, class names and normalisation: `DigitClassifier(config, datamodule.spec)` needs them."""

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Number of images for the stages `train`, `val` and `test`: all three are known after `setup("fit")`."""

    @property
    def sha256(self) -> str | None:
        """Checksum of the data, compared when a run is resumed; None: not compared."""
        return None

    def overfit_indices(self, train_size: int) -> torch.Tensor | None:
        """Indices of the training images that `trainer.overfit_batches` uses, for training and for validation.

        They are the first batches of the first epoch. None: it is off.
        """
        if not (limit := self.config.trainer.overfit_batches):
            return None
        few = limit_batches(limit, ceil(train_size / self.batch_size)) * self.batch_size
        return epoch_order(train_size, self.config.seed, epoch=0)[:few]

    @property
    def augmentation(self) -> Augmentation:
        """The augmentation of training images, on the training device."""
        if self._augmentation is None or self._augmentation.device != self.device:  # another trainer, another device
            self._augmentation = Augmentation(self.config.augment, self.spec.image_shape, self.device)
        return self._augmentation

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment the images of a training step; the noise is a function of (seed, step).

        Known limitation: under a Trainer of your own with several devices, each rank draws the same noise for its
        images. The engine draws it for the whole minibatch.
        """
        if not (self.trainer and self.trainer.training and augments(self.config.augment)):
            return batch
        images, labels = batch
        coefficients = self.augmentation.draw(self.config.seed, self.trainer.global_step, len(images))
        return self.augmentation(images, coefficients.to(images.device)), labels

    @property
    def device(self) -> torch.device:
        """The training device; the CPU without a trainer."""
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    @property
    def ranks(self) -> tuple[int, int]:
        """Rank and world size; without a trainer there is one rank."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
