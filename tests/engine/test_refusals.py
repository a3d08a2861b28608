"""The engine refuses hooks and loaders that it would have to ignore."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from helpers.kill_and_resume import configuration
from helpers.short_runs import QUIET, SHORT
from lightning.pytorch.callbacks import LambdaCallback, StochasticWeightAveraging
from torch.optim import LBFGS, SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.loader import EvaluationLoader, TrainLoader
from mnist_mlp.module import DigitClassifier
from mnist_mlp.training import run, train


class Watcher(L.Callback):
    def on_after_backward(self, *_: Any) -> None:
        raise AssertionError("never called by the engine")


def test_a_hook_that_the_engine_does_not_call_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"Watcher\.on_after_backward: engine=fast does not call this method"):
        train(configuration(*SHORT, *QUIET), tmp_path / "callback", callbacks=[Watcher()])
    monkeypatch.setattr(DigitClassifier, "optimizer_step", lambda *_: None, raising=False)
    with pytest.raises(ConfigError, match=r"DigitClassifier\.optimizer_step: engine=fast"):
        train(configuration(*SHORT, *QUIET), tmp_path / "module")


def test_a_hook_that_is_set_on_an_object_counts_as_one_of_its_class(tmp_path: Path) -> None:
    steps: list[int] = []
    callback = LambdaCallback(on_train_batch_end=lambda trainer, *_: steps.append(trainer.global_step))
    train(configuration(*SHORT, *QUIET, "trainer.max_steps=5"), tmp_path / "each", callbacks=[callback])
    assert steps == [1, 2, 3, 4, 5]
    callback = LambdaCallback(on_before_optimizer_step=lambda *_: None)
    with pytest.raises(ConfigError, match=r"LambdaCallback\.on_before_optimizer_step: engine=fast does not call"):
        train(configuration(*SHORT, *QUIET), tmp_path / "refused", callbacks=[callback])


def test_a_module_may_save_a_state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []

    class Counts(DigitClassifier):
        def state_dict(self, *arguments: Any, **keywords: Any) -> Any:
            saved.append(self.global_step)
            return super().state_dict(*arguments, **keywords)

    monkeypatch.setattr(run, "DigitClassifier", Counts)
    train(configuration(*SHORT, *QUIET, "trainer.max_steps=2"), tmp_path)
    assert saved[-1] == 2


def test_a_module_that_logs_under_other_names_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DigitClassifier, "log", lambda *_, **__: None, raising=False)
    with pytest.raises(ConfigError, match=r"DigitClassifier\.log: engine=fast"):
        train(configuration(*SHORT, *QUIET), tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("automatic_optimization", False, r"automatic_optimization: engine=fast makes the steps of the optimizer"),
        (
            "training_step",
            lambda *_: (torch.tensor(1.0), 2),
            "training_step: expected a loss, or a dictionary with one",
        ),
        ("configure_optimizers", lambda module: LBFGS(module.network.parameters()), "an optimizer other than LBFGS"),
        (
            "configure_optimizers",
            lambda module: {
                "optimizer": (optimizer := SGD(module.network.parameters(), lr=0.1)),
                "lr_scheduler": {"scheduler": ReduceLROnPlateau(optimizer), "interval": "step"},
            },
            "an lr_scheduler other than ReduceLROnPlateau",
        ),
    ],
)
def test_what_only_lightnings_own_loop_can_do_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, message: str
) -> None:
    monkeypatch.setattr(DigitClassifier, name, value)
    with pytest.raises(ConfigError, match=message):
        train(configuration(*SHORT, *QUIET), tmp_path)


def test_several_optimizers_are_refused_as_each_batch_is_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(module: DigitClassifier) -> list[Any]:
        module.automatic_optimization = False
        return [SGD([weights], lr=0.1) for weights in module.network.layers[0].parameters()]

    monkeypatch.setattr(DigitClassifier, "configure_optimizers", two)
    with pytest.raises(ConfigError, match="configure_optimizers: expected one optimizer, perhaps with several groups"):
        train(configuration(*SHORT, *QUIET, "engine=plain"), tmp_path)


def test_a_callback_that_replaces_the_schedule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"StochasticWeightAveraging: engine=fast .* engine=plain"):
        train(configuration(*SHORT, *QUIET), tmp_path, callbacks=[StochasticWeightAveraging(swa_lrs=0.01)])


def test_an_epoch_that_a_hook_would_end_early_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(DigitClassifier):
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> Any:
            super().on_train_batch_start(batch, batch_idx)
            return -1 if batch_idx >= 3 else None

    monkeypatch.setattr("mnist_mlp.training.run.DigitClassifier", Short)
    with pytest.raises(ConfigError, match="on_train_batch_start: engine=fast cannot end an epoch by -1; engine=plain"):
        train(configuration(*SHORT, *QUIET), tmp_path)


def weighted(datamodule: DigitsDataModule) -> DataLoader:
    images, labels = datamodule.parts["train"]
    sampler = WeightedRandomSampler((1.0 + labels).tolist(), len(labels))
    return DataLoader(TensorDataset(images, labels), datamodule.batch_size, sampler=sampler)


def of_a_subset(datamodule: DigitsDataModule) -> TrainLoader:
    images, labels = datamodule.parts["train"]
    return TrainLoader((images[:500], labels[:500]), datamodule.batch_size, datamodule.config.seed)


def in_one_order(datamodule: DigitsDataModule) -> TrainLoader:
    trainer: Any = datamodule.trainer
    first, size, seed = trainer.global_step, datamodule.batch_size, datamodule.config.seed
    return TrainLoader(datamodule.parts["train"], size, seed, steps_done=lambda: first, same_order=True)


def without_the_last(loader: TrainLoader) -> Iterator[Any]:
    order = loader.order(loader.seed).split(loader.batch_size)
    for indices in [part for part in order if len(part) == loader.batch_size][loader.steps_done() :]:
        yield loader.images[indices], loader.labels[indices]


@pytest.mark.parametrize(
    ("owner", "name", "function", "named"),
    [
        (DigitsDataModule, "train_dataloader", weighted, "train_dataloader"),
        (DigitsDataModule, "train_dataloader", of_a_subset, "train_dataloader"),
        (DigitsDataModule, "train_dataloader", in_one_order, "train_dataloader"),
        (TrainLoader, "__iter__", without_the_last, "train_dataloader"),
        (DigitsDataModule, "val_dataloader", lambda data: EvaluationLoader(data.parts["val"], 7), "val_dataloader"),
        (DigitsDataModule, "test_dataloader", lambda data: data._evaluation_loader("val"), "test_dataloader"),
    ],
)
def test_a_loader_that_the_engine_would_ignore_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, function: Any, named: str
) -> None:
    monkeypatch.setattr(owner, name, function)
    expected = rf"DigitsDataModule\.{named}: engine=fast does not use this loader; engine=plain does"
    with pytest.raises(ConfigError, match=expected):
        train(configuration(*SHORT, *QUIET), tmp_path)


def test_a_change_of_the_images_that_validation_would_lack_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DigitsDataModule, "on_after_batch_transfer", lambda _, batch, __: (255 - batch[0], batch[1]))
    with pytest.raises(ConfigError, match=r"DigitsDataModule\.on_after_batch_transfer: .* in training only"):
        train(configuration(*SHORT, *QUIET), tmp_path)


@pytest.mark.parametrize("name", ["on_before_batch_transfer", "transfer_batch_to_device", "teardown"])
def test_a_hook_of_the_data_that_the_engine_does_not_call_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(DigitsDataModule, name, lambda _, batch, *__: batch)
    with pytest.raises(ConfigError, match=rf"DigitsDataModule\.{name}: engine=fast does not call this method"):
        train(configuration(*SHORT, *QUIET), tmp_path)
