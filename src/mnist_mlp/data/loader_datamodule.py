"""LightningDataModule for images that do not fit in memory: torch's `DataLoader` over three data sets."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from torch.utils.data import DataLoader, Sampler, Subset

from mnist_mlp.config.schema import Config
from mnist_mlp.data.dataset import DatasetInfo
from mnist_mlp.data.image_datamodule import ImageDataModule
from mnist_mlp.data.normalisation import given_normalisation
from mnist_mlp.data.run_length import limit_batches
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.model.networks import DataSpec
from mnist_mlp.runs.signals import ignore_signals


class LoaderDataModule(ImageDataModule):
    """Batches that worker processes read while the network trains. It needs `engine=plain`.

    `data.mean` and `data.std` are needed, as computing them would read all images. A Trainer of your own does not set
    `first_step`: a run that it resumes within an epoch trains again on the first images of this epoch.
    """

    resumes_within_epoch = True

    def __init__(self, config: Config, info: DatasetInfo, datasets: Mapping[str, Any], *, workers: int = 2) -> None:
        """
        Args:
            info: image shape and class names.
            datasets: for `train`, `val` and `test` an object with `len(...)` and, by index, an image `(C, H, W)` uint8
                (an array or a tensor) and its label.
            workers: processes that read the images of each loader.
        """
        super().__init__(config)
        self.info, self.datasets, self.workers = info, dict(datasets), workers
        atexit.register(_kill_workers)
        train = self.datasets["train"]
        if (chosen := self.overfit_indices(len(train))) is not None:
            self.datasets["val"] = Subset(train, chosen.tolist())

    @property
    def spec(self) -> DataSpec:
        mean, std = given_normalisation(self.config.data, channels=self.info.image_shape[0])
        return DataSpec(image_shape=self.info.image_shape, class_names=self.info.class_names, mean=mean, std=std)

    @property
    def sizes(self) -> dict[str, int]:
        return {stage: len(images) for stage, images in self.datasets.items()}

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader("train", self.batch_size, sampler=EpochSampler(self))

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val", self.config.data.batch_size)

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader("test", self.config.data.batch_size)

    def predict_dataloader(self) -> DataLoader[Any]:
        return self.test_dataloader()

    def _loader(self, stage: str, batch_size: int, sampler: Sampler[int] | None = None) -> DataLoader[Any]:
        return DataLoader(
            self.datasets[stage],
            batch_size,
            sampler=sampler,
            num_workers=self.workers,
            worker_init_fn=ignore_signals,
        )


def _kill_workers() -> None:
    """End the workers that an error in a validation has left.

    At the exit of this process multiprocessing would end them by SIGTERM, which they ignore, and wait for them.
    """
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would raise an error for them
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


class EpochSampler(Sampler[int]):
    """Order of an epoch, a function of (seed, epoch), without the images that a resumed run has trained on."""

    def __init__(self, data: LoaderDataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.sizes["train"]

    def __iter__(self) -> Iterator[int]:
        data, config = self.data, self.data.config
        batches, epoch = ceil(len(self) / data.batch_size), 0
        if data.trainer is not None:
            batches = limit_batches(data.trainer.limit_train_batches, batches)
            # On resume the DataLoader draws its first indices while `current_epoch` is still 0.
            epoch = max(data.trainer.current_epoch, data.first_step // batches)
        done = max(0, data.first_step - epoch * batches) * data.batch_size
        order = epoch_order(len(self), config.seed, 0 if config.trainer.overfit_batches else epoch)
        return iter(order[done:].tolist())
