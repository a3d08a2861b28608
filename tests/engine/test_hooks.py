"""The engine calls the hooks of module and callbacks as Lightning's own loop does."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from helpers.colour_set import colour_set, write_npz
from helpers.kill_and_resume import configuration
from helpers.short_runs import QUIET, SHORT, furthest, slow
from torch import Tensor

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train


@pytest.mark.parametrize("flags", [slow({}), slow({"on_step": True}), {"on_step": True, "on_epoch": True}], ids=str)
def test_what_a_step_logs_is_a_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool]) -> None:
    """At the points of `trainer.log_every_n_steps`, as in Lightning's own loop."""
    original = DigitClassifier.training_step

    def logs(module: DigitClassifier, batch: Any, batch_idx: int) -> Tensor:
        module.log("train/aux", float(module.global_step), batch_size=1, **flags)
        return original(module, batch, batch_idx)

    monkeypatch.setattr(DigitClassifier, "training_step", logs)
    name, seen = "train/aux_step" if len(flags) > 1 else "train/aux", {}
    for engine in ("fast", "plain"):
        words = ("logger=csv", "threads=1", "trainer.log_every_n_steps=4", f"engine={engine}")
        train(configuration(*SHORT, *words), tmp_path / engine)
        with (tmp_path / engine / "csv" / "metrics.csv").open() as table:
            values = [float(row[name]) for row in csv.DictReader(table) if row[name]]
        seen[engine] = set(values)
    assert seen["fast"] >= seen["plain"] == {3.0, 7.0, 11.0, 15.0, 19.0, 23.0}


class Metrics(L.Callback):
    """The callback metrics with a prefix, after each epoch."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.seen: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = trainer.callback_metrics.items()
        self.seen.append({name: float(value) for name, value in metrics if name.startswith(self.prefix)})


def test_values_are_logged_with_the_defaults_of_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    originals = DigitClassifier.training_step, DigitClassifier.validation_step

    def in_training(module: DigitClassifier, batch: Any, batch_idx: int) -> Tensor:
        module.log("own/train", float(batch_idx))
        module.log("own/mean", torch.tensor([float(batch_idx)]), on_epoch=True)
        module.log("own/mean_alone", batch_idx, on_epoch=True, on_step=False)
        module.log("own/last", batch_idx, on_step=True)
        return originals[0](module, batch, batch_idx)

    def in_validation(module: DigitClassifier, batch: Any, batch_idx: int) -> Tensor:
        module.log("own/val", 2.5)
        return originals[1](module, batch, batch_idx)

    monkeypatch.setattr(DigitClassifier, "training_step", in_training)
    monkeypatch.setattr(DigitClassifier, "validation_step", in_validation)
    seen = []
    for engine in ("fast", "plain"):
        callback = Metrics("own/")
        train(configuration(*SHORT, *QUIET, f"engine={engine}"), tmp_path / engine, callbacks=[callback])
        seen.append(callback.seen)
    assert len(seen[1]) == 2 and len(seen[1][0]) == 7
    for fast, plain in zip(*seen, strict=True):
        assert fast == pytest.approx(plain)


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_what_is_logged_as_a_loop_begins_counts_for_that_loop(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hook, name in (("train_epoch", "train/own"), ("validation", "val/own"), ("test", "test/own")):
        monkeypatch.setattr(DigitClassifier, f"on_{hook}_start", lambda module, name=name: module.log(name, 4.0))
    result = train(configuration(*SHORT, *QUIET, "checkpoint.monitor=val/own", f"engine={engine}"), tmp_path)
    assert [(row["train/own"], row["val/own"]) for row in result.history] == [(4.0, 4.0)] * 2
    assert result.metrics["test/own"] == 4.0


def test_what_is_logged_has_to_be_a_single_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def logs(module: DigitClassifier, batch: Any, batch_idx: int) -> None:
        module.log("own/pair", torch.zeros(2))

    monkeypatch.setattr(DigitClassifier, "training_step", logs)
    with pytest.raises(ConfigError, match=r"own/pair.*expected a single number, got a tensor \(2,\)"):
        train(configuration(*SHORT, *QUIET), tmp_path)


@pytest.mark.filterwarnings("ignore:.training_step. returned .None.")
@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_step_without_a_loss_is_refused(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DigitClassifier, "training_step", lambda *_: None)
    with pytest.raises(ConfigError, match="training_step: expected a loss for each batch, got None"):
        train(configuration(*SHORT, *QUIET, f"engine={engine}"), tmp_path)


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_early_stopping_sees_what_the_module_logs_at_the_end_of_an_epoch(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DigitClassifier, "on_train_epoch_end", lambda module: module.log("own/constant", 1.0))
    stop = L.pytorch.callbacks.EarlyStopping("own/constant", patience=2, check_on_train_epoch_end=True)
    config = configuration(*SHORT, *QUIET, "trainer.max_epochs=9", f"engine={engine}")
    assert len(train(config, tmp_path, callbacks=[stop]).history) == 3


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_value_that_is_nan_leaves_the_test_result_as_it_is(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_nan(module: DigitClassifier) -> None:
        module.log("val/own", float("nan"))

    monkeypatch.setattr(DigitClassifier, "on_validation_epoch_end", log_nan)
    metrics = train(configuration(*SHORT, f"engine={engine}"), tmp_path).metrics
    assert metrics["test/acc"] is not None
    assert "NaN" not in (tmp_path / "result.json").read_text()  # which JSON does not have


def test_a_step_may_return_more_than_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DigitClassifier.training_step

    def step(module: DigitClassifier, batch: Any, batch_idx: int) -> Any:
        loss = original(module, batch, batch_idx)
        return {"loss": loss, "losses": [loss]}

    expected = train(configuration(*SHORT, "engine=plain"), tmp_path / "loss").history
    monkeypatch.setattr(DigitClassifier, "training_step", step)
    found = train(configuration(*SHORT, "engine=plain"), tmp_path / "more").history
    assert [row["train/loss"] for row in found] == [row["train/loss"] for row in expected]


def test_any_number_is_a_better_checkpoint_than_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DigitClassifier.validation_step

    def logs(module: DigitClassifier, batch: Any, batch_idx: int) -> Tensor:
        module.log("val/own", [float("nan"), 3.0, 5.0, 4.0][module.current_epoch])
        return original(module, batch, batch_idx)

    monkeypatch.setattr(DigitClassifier, "validation_step", logs)
    config = configuration(*SHORT, *QUIET, "trainer.max_epochs=4", "checkpoint.monitor=val/own")
    assert train(config, tmp_path).best_epoch == 2


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_check_of_a_few_batches_validates_whatever_the_interval(engine: str, tmp_path: Path) -> None:
    words = ("trainer.fast_dev_run=2", "trainer.val_check_interval=100", "trainer.check_val_every_n_epoch=5")
    result = train(configuration(*QUIET, *words, f"engine={engine}"), tmp_path)
    assert result.metrics["val/acc"] is not None


class LastBatch(L.Callback):
    """Logs a value for each batch, whose mean over an epoch weighs it by its images."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        pl_module.log("train/last", float(batch_idx), on_step=False, on_epoch=True)


def test_what_a_callback_logs_after_a_batch_weighs_by_the_images_of_that_batch(tmp_path: Path) -> None:
    means = []
    for engine in ("fast", "plain"):
        words = (
            "data.val_size=5950",
            "data.batch_size=40",
            "trainer.max_epochs=1",
            f"engine={engine}",
        )  # 40, 10 images
        history = train(configuration(*QUIET, *words), tmp_path / engine, callbacks=[LastBatch()]).history
        means.append(history[0]["train/last"])
    assert means == pytest.approx([0.2, 0.2])


class Freezes(L.Callback):
    """Puts the last layer into evaluation mode, as one that is not to be trained; sees the modes in each epoch."""

    def __init__(self) -> None:
        self.modes: list[tuple[bool, bool]] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.network.layers[-1].eval()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.modes.append((pl_module.training, pl_module.network.layers[-1].training))


@pytest.mark.filterwarnings("ignore:Found 1 module.s. in eval mode")
@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_frozen_layer_stays_in_evaluation_mode_after_a_validation(engine: str, tmp_path: Path) -> None:
    freezes = Freezes()
    train(configuration(*SHORT, *QUIET, f"engine={engine}"), tmp_path, callbacks=[freezes])
    assert len(freezes.modes) > 1
    assert set(freezes.modes) == {(True, False)}


class Sizes(L.Callback):
    """The number of images in each batch of validation."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Tensor, *_: Any) -> None:
        self.seen.append(len(outputs))


@pytest.mark.parametrize(("batch_size", "expected"), [(8, [52, 8]), pytest.param(56, [56, 4], marks=pytest.mark.slow)])
def test_large_images_are_validated_in_smaller_batches(tmp_path: Path, batch_size: int, expected: list[int]) -> None:
    write_npz(tmp_path / "set.npz", colour_set(train=40, shape=(3, 112, 112)))
    data = ("data=npz", f"data.path={tmp_path / 'set.npz'}", "data.val_size=60", f"data.batch_size={batch_size}")
    few = ("trainer.max_epochs=1", "trainer.num_sanity_val_steps=0", "trainer.limit_test_batches=0", "model.hidden=[4]")
    sizes = Sizes()
    train(configuration(*QUIET, *data, *few), tmp_path / "run", callbacks=[sizes])
    assert sizes.seen == expected


class Diary(L.Callback):
    """Adds an entry to every checkpoint, and collects the entries of checkpoints that are resumed from."""

    def __init__(self, read: list[Any]) -> None:
        self.read = read

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["of_callback"] = trainer.current_epoch

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self.read.append(checkpoint["of_callback"])


def test_checkpoints_keep_and_give_back_what_the_hooks_of_module_and_callback_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[str, list[Any]] = {"fast": [], "plain": []}
    monkeypatch.setattr(
        DigitClassifier, "on_save_checkpoint", lambda _, checkpoint: checkpoint.update(of_module="kept")
    )
    for engine, entries in read.items():
        monkeypatch.setattr(
            DigitClassifier, "on_load_checkpoint", lambda _, c, entries=entries: entries.append(c["of_module"])
        )
        words, directory = (*SHORT, *QUIET, f"engine={engine}", "scheduler=constant"), tmp_path / engine
        train(configuration(*words), directory, callbacks=[Diary(entries)])
        again = configuration(*words, "trainer.max_epochs=3", f"resume={directory}")
        train(again, directory, callbacks=[Diary(entries)])
    assert read["fast"] == read["plain"] == ["kept", 1]


class Shrink(L.Callback):
    """Weight decay by a callback, after each step."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any) -> None:
        for weights in pl_module.parameters():
            weights.data.mul_(0.99 if outputs["loss"] > 0 else 0.5)


@pytest.mark.parametrize("overrides", [[], ["model.activation=gelu", "trainer.val_check_interval=0.25"]])
def test_a_callback_around_batches_is_called_for_each_step(tmp_path: Path, overrides: list[str]) -> None:
    weights = []
    for engine in ("fast", "plain"):
        config = configuration(*SHORT, *QUIET, *overrides, f"engine={engine}")
        train(config, tmp_path / engine, callbacks=[Shrink()])
        weights.append(checkpoint_file.read(tmp_path / engine / "checkpoints" / checkpoint_file.LAST)["state_dict"])
    assert furthest(*weights) < 1e-9


def test_a_step_may_update_the_metrics_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates by position are collected over a chunk; another one is made as it is."""

    def by_name(module: DigitClassifier, batch: Any, _: int) -> Tensor:
        output = module.network(batch[0])
        metrics, loss = module.metrics_of("train"), module.loss(output, batch[1])
        metrics.update(preds=output, target=batch[1])
        module.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[1]))
        module.log_dict(dict(metrics.items()), on_step=False, on_epoch=True, batch_size=len(batch[1]))
        return loss

    monkeypatch.setattr(DigitClassifier, "training_step", by_name)
    seen = []
    for engine in ("fast", "plain"):
        history = train(configuration(*SHORT, *QUIET, f"engine={engine}"), tmp_path / engine).history
        seen.append([row["train/acc"] for row in history])
    assert seen[0] == pytest.approx(seen[1], abs=1e-6)


class Stages(L.Callback):
    def __init__(self) -> None:
        self.stages: list[str] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, DigitClassifier)
        self.stages.append(stage)


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_callback_is_set_up_for_training_and_for_the_test(engine: str, tmp_path: Path) -> None:
    callback = Stages()
    words = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", f"engine={engine}")
    train(configuration(*QUIET, *words), tmp_path, callbacks=[callback])
    assert callback.stages == ["fit", "test"]


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_step_gets_the_number_of_its_batch_in_the_epoch_and_its_values_count_by_images(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean of the labels in an epoch with a last batch of another size; numbers from 0 in every epoch."""
    original, seen = DigitClassifier.training_step, []

    def logs(module: DigitClassifier, batch: Any, batch_idx: int) -> Tensor:
        seen.append(batch_idx)
        module.log("train/label", batch[1].double().mean(), on_step=False, on_epoch=True)
        return 2 * original(module, batch, batch_idx)  # so that it is not replaced

    monkeypatch.setattr(DigitClassifier, "training_step", logs)
    config = configuration(*QUIET, "data.batch_size=1999", "trainer.max_epochs=2", f"engine={engine}")
    result = train(config, tmp_path)
    data = DigitsDataModule(config)
    data.setup()
    labels = data.parts["train"][1]
    batches = -(-len(labels) // 1999)
    assert len(labels) % 1999 not in (0, 1998)
    assert seen[-2 * batches :] == [*range(batches), *range(batches)]
    mean = float(labels.double().mean())
    assert [row["train/label"] for row in result.history] == pytest.approx([mean, mean], rel=1e-6)


class FirstWeights(L.Callback):
    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.weights = next(pl_module.parameters()).detach().clone()


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_fit_starts_with_the_weights_of_the_checkpoint(tmp_path: Path, engine: str) -> None:
    words = (*SHORT, *QUIET, f"engine={engine}", "scheduler=constant")
    train(configuration(*words, "trainer.max_epochs=1"), tmp_path)
    saved = checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)["state_dict"][
        "network.layers.0.weight"
    ]
    seen = FirstWeights()
    train(configuration(*words, f"resume={tmp_path}"), tmp_path, callbacks=[seen])
    assert torch.equal(seen.weights, saved)
