"""Data modules with DataLoaders: batches in the order of the others; a loader that does not fit is refused."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.kill_and_resume import configuration
from torch.utils.data import DataLoader, TensorDataset

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import Config
from mnist_mlp.data import sources
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.dataset import DatasetInfo
from mnist_mlp.data.image_datamodule import ImageDataModule
from mnist_mlp.data.loader_datamodule import LoaderDataModule
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.model.networks import DataSpec
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train

INFO = DatasetInfo("numbers", (1, 2, 2), ("even", "odd"), train_size=60, test_size=10)
WORDS = ("engine=plain", "data.batch_size=8", "data.mean=0.5", "data.std=0.2")


class Numbers:
    """Images whose first grey level is their number, and the others say whether this process ignores signals."""

    def __init__(self, numbers: range) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        number = self.numbers[index]
        ignores = signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        return np.array([[[number, ignores], [ignores, ignores]]], np.uint8), number % 2


def loaders(config: Config, workers: int = 0, **trainer: Any) -> LoaderDataModule:
    datasets = {"train": Numbers(range(50)), "val": Numbers(range(50, 60)), "test": Numbers(range(60, 70))}
    data = LoaderDataModule(config, INFO, datasets, workers=workers)
    if trainer:
        data.trainer = SimpleNamespace(limit_train_batches=1.0, **trainer)  # type: ignore[assignment]
    return data


def numbers(loader: DataLoader[Any]) -> list[list[int]]:
    return [images[:, 0, 0, 0].tolist() for images, _ in loader]


@pytest.mark.parametrize(("first", "epoch"), [(0, 0), (0, 1), (3, 0), (7, 0), (10, 0), (10, 1), (10, 2)])
def test_an_epoch_is_its_order_without_what_a_resumed_run_has_trained_on(first: int, epoch: int) -> None:
    data = loaders(configuration(*WORDS), current_epoch=epoch)
    data.first_step = first
    begun = max(epoch, first // 7)  # 50 images in batches of 8; Lightning may not have restored the epoch yet
    order = epoch_order(50, seed=0, epoch=begun).tolist()
    batches = [order[start : start + 8] for start in range(0, 50, 8)]
    assert numbers(data.train_dataloader()) == batches[max(0, first - 7 * begun) :]


def test_a_run_that_overfits_trains_and_validates_on_its_first_batches() -> None:
    data = loaders(configuration(*WORDS, "trainer.overfit_batches=2"), current_epoch=3)
    first = numbers(data.train_dataloader())[:2]
    assert numbers(data.val_dataloader()) == first
    assert data.sizes == {"train": 50, "val": 16, "test": 10}


def test_the_main_process_alone_answers_a_signal() -> None:
    images, labels = next(iter(loaders(configuration(*WORDS), workers=1, current_epoch=0).train_dataloader()))
    assert images.shape == (8, 1, 2, 2) and images.dtype == torch.uint8
    assert bool((images.flatten(1)[:, 1:] == 1).all())
    assert torch.equal(labels, images[:, 0, 0, 0].long() % 2)


@pytest.mark.parametrize("key", ["data.mean", "data.std"])
def test_a_mean_that_would_need_all_images_is_asked_for(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: expected a number"):
        _ = loaders(configuration(*WORDS, f"{key}=null")).spec


class Shuffled(ImageDataModule):
    """The usual loaders of torch, over the synthetic digits."""

    drop_last = False

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.digits = DigitsDataModule(config)
        self.digits.setup()

    @property
    def spec(self) -> DataSpec:
        return self.digits.spec

    @property
    def sizes(self) -> dict[str, int]:
        return self.digits.sizes

    def train_dataloader(self) -> DataLoader[Any]:
        part = TensorDataset(*self.digits.parts["train"])
        return DataLoader(part, self.batch_size, shuffle=True, drop_last=self.drop_last)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(*self.digits.parts["val"]), self.batch_size)


PLAIN = ("engine=plain", "trainer.max_epochs=1", "trainer.limit_test_batches=0", "data.batch_size=1000")


@pytest.fixture
def shuffled(monkeypatch: pytest.MonkeyPatch) -> type[Shuffled]:
    source = replace(sources.SOURCES["synthetic"], datamodule=Shuffled)
    monkeypatch.setitem(sources.SOURCES, "synthetic", source)
    return Shuffled


def test_a_loader_of_torch_trains(shuffled: type[Shuffled], tmp_path: Path) -> None:
    result = train(configuration(*PLAIN), tmp_path)
    assert (result.status, result.epochs) == ("completed", 1)
    assert "calibration" not in checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.BEST)


def test_a_loader_that_begins_the_epoch_anew_is_not_resumed_in_silence(
    shuffled: type[Shuffled], tmp_path: Path
) -> None:
    train(configuration(*PLAIN, "trainer.max_steps=2", "scheduler=constant"), tmp_path)
    with pytest.warns(UserWarning, match="your dataloader is not resumable"):
        train(configuration(*PLAIN, "scheduler=constant", f"resume={tmp_path}"), tmp_path)


def test_a_loader_of_another_length_is_refused(
    shuffled: type[Shuffled], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffled, "drop_last", True)
    with pytest.raises(ConfigError, match=r"Shuffled.train_dataloader: expected 6 batches .* got 5"):
        train(configuration(*PLAIN), tmp_path)


@pytest.mark.engine
def test_the_engine_refuses_it(shuffled: type[Shuffled], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="engine: expected plain beside data=synthetic"):
        train(configuration(*PLAIN, "engine=fast"), tmp_path)


def test_a_data_module_without_sizes_is_incomplete() -> None:
    class WithoutSizes(ImageDataModule):
        spec = DigitsDataModule.spec

    with pytest.raises(TypeError, match="sizes"):
        WithoutSizes(configuration())
