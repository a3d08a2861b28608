"""The engine makes the steps of Lightning's own loop, and refuses what it would have to ignore."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from helpers.colour_set import colour_set, write_npz
from helpers.kill_and_resume import configuration
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.loader import EvaluationLoader, TrainLoader
from mnist_mlp.engine import stack
from mnist_mlp.model.networks import MLP, NETWORKS
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.training import train

SHORT = ("trainer.max_epochs=2", "trainer.limit_train_batches=12", "trainer.limit_val_batches=4", "model.dropout=0")
QUIET = ("logger=none", "threads=1", "trainer.precision=64-true")


def slow(parameter: Any) -> Any:
    return pytest.param(parameter, marks=pytest.mark.slow)


def trained(directory: Path, *overrides: str) -> dict[str, Tensor]:
    """The weights after two short epochs."""
    train(configuration(*SHORT, *QUIET, *overrides), directory)
    return files.read(directory / "checkpoints" / files.LAST)["state_dict"]


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert list(one) == list(other)
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["optimizer=sgd", "optimizer.momentum=0.9", "model.loss=mse"],
        ["model.dropout=0.3", "averaging.decay=0.9"],
        slow(["optimizer=adam", "model.loss=nll"]),
        slow(["trainer.gradient_clip_val=0.1"]),
        slow(["trainer.gradient_clip_val=0.001", "trainer.gradient_clip_algorithm=value"]),
        slow(["augment=elastic", "augment.blank=0.1", "trainer.val_check_interval=0.25"]),
        slow(["model=cnn", "model.channels=[3]", "model.hidden=[8]", "augment=affine", "averaging.decay=0.9"]),
    ],
    ids=lambda overrides: " ".join(overrides) or "default",
)
def test_fast_and_plain_end_in_the_same_weights(tmp_path: Path, overrides: list[str]) -> None:
    fast, plain = (trained(tmp_path / engine, f"engine={engine}", *overrides) for engine in ("fast", "plain"))
    assert furthest(fast, plain) < 1e-9


@pytest.mark.slow
def test_gradients_are_clipped_in_mixed_precision_too(tmp_path: Path) -> None:
    """Lightning refuses to, for a fused optimizer."""
    mixed = ("trainer.precision=bf16-mixed", "trainer.gradient_clip_val=0.1")
    fast, plain = (trained(tmp_path / engine, f"engine={engine}", *mixed) for engine in ("fast", "plain"))
    assert furthest(fast, plain) < 1e-4


@pytest.mark.parametrize("network", [[], ["model=cnn", "model.channels=[3]", "model.hidden=[8]"]], ids=["mlp", "cnn"])
def test_fast_and_plain_report_the_same_history(tmp_path: Path, network: list[str]) -> None:
    words = [*SHORT, *QUIET, "metrics=[acc,f1]", *network]
    fast, plain = (train(configuration(*words, f"engine={name}"), tmp_path / name) for name in ("fast", "plain"))
    for one, other in zip(fast.history, plain.history, strict=True):
        names = {"epoch", "lr", "train/loss", "train/acc", "train/f1", "val/loss", "val/acc", "val/f1"}
        assert names == set(one) - {"seconds"}
        assert {name: one[name] for name in names} == pytest.approx({name: other[name] for name in names}, abs=1e-6)
    assert fast.metrics == pytest.approx(plain.metrics, abs=1e-6)


def skip_connection(network: MLP, images: Tensor) -> Tensor:
    """A change of the kind that a copy of the computation would not notice."""
    hidden = network.layers[:-1](network.normalise(images))
    return network.layers[-1](hidden) + hidden[:, :10]


def penalised(factor: Callable[[DigitClassifier], int]) -> Callable[..., Tensor]:
    """A `training_step` with a penalty on the weights of the first layer."""
    return lambda module, batch, _: (
        module.loss(module.network(batch[0]), batch[1])
        + factor(module) * module.network.layers[0].weight.square().sum()
    )


def two_groups(module: DigitClassifier) -> dict[str, Any]:
    """A `configure_optimizers` with a parameter group for the weights and one for the biases."""
    biases = [parameter for parameter in module.network.parameters() if parameter.ndim == 1]
    weights = [parameter for parameter in module.network.parameters() if parameter.ndim > 1]
    groups = [{"params": weights, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0.0, "lr": 0.02}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    factors = [lambda step: 0.9**step, lambda step: 1 / (1 + step)]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


CHANGES: dict[str, tuple[type, str, Any]] = {
    "another forward": (MLP, "logits", skip_connection),
    "another loss": (DigitClassifier, "training_step", penalised(lambda module: 1)),
    "a penalty that begins in the second epoch": (
        DigitClassifier,
        "training_step",
        penalised(lambda module: module.current_epoch),
    ),
    "a penalty that grows step by step": (
        DigitClassifier,
        "training_step",
        penalised(lambda module: module.global_step),
    ),
    "another optimizer": (
        DigitClassifier,
        "configure_optimizers",
        lambda module: torch.optim.NAdam(module.network.parameters(), lr=1e-2),
    ),
    "no weight decay for the biases, which have their own learning rate": (
        DigitClassifier,
        "configure_optimizers",
        two_groups,
    ),
    "another schedule": (
        DigitClassifier,
        "configure_optimizers",
        lambda module: {
            "optimizer": (optimizer := torch.optim.AdamW(module.network.parameters(), lr=1e-2)),
            "lr_scheduler": {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 5), "interval": "step"},
        },
    ),
    "another hook": (
        DigitClassifier,
        "on_train_batch_end",
        lambda module, *_: module.network.layers[0].weight.data.mul_(0.9),
    ),
}


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The weights of a module that nobody changed, which no line says to be trained by autograd."""
    records: list[logging.LogRecord] = []
    handler, logger = logging.Handler(), logging.getLogger("mnist_mlp")
    handler.emit = records.append  # type: ignore[method-assign]
    logger.setLevel("INFO")
    logger.addHandler(handler)
    weights = trained(tmp_path_factory.mktemp("unchanged"), "augment=affine")
    logger.removeHandler(handler)
    assert records and not any("trained by autograd" in record.getMessage() for record in records)
    return weights


QUICK = [*list(CHANGES)[:2], "no weight decay for the biases, which have their own learning rate"]


@pytest.mark.parametrize("change", [*QUICK, *(slow(change) for change in CHANGES if change not in QUICK)])
def test_a_changed_module_is_trained_as_changed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unchanged: dict[str, Tensor],
    change: str,
) -> None:
    """The hand-written step no longer fits: one line says so, and the weights are those of Lightning's own loop."""
    caplog.set_level("INFO")
    owner, name, function = CHANGES[change]
    monkeypatch.setattr(owner, name, function)
    fast, plain = (trained(tmp_path / engine, f"engine={engine}", "augment=affine") for engine in ("fast", "plain"))
    assert furthest(fast, plain) < (1e-7 if change == "another optimizer" else 1e-9)  # NAdam counts in single precision
    assert furthest(fast, unchanged) > 1e-4
    assert caplog.text.count("trained by autograd: ") == 1


@pytest.mark.slow
def test_each_network_of_a_stack_is_trained_as_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnist_mlp.engine.job import Job
    from mnist_mlp.training import train_stack

    monkeypatch.setattr(MLP, "logits", skip_connection)
    configs = [configuration(*SHORT, *QUIET, f"seed={seed}") for seed in (1, 2)]
    jobs = [Job(config=config, directory=tmp_path / f"stacked{config.seed}") for config in configs]
    for job in jobs:
        job.directory.mkdir()
    train_stack(jobs)
    for job in jobs:
        alone = trained(tmp_path / f"alone{job.config.seed}", f"seed={job.config.seed}", "engine=plain")
        assert furthest(files.read(job.directory / "checkpoints" / files.LAST)["state_dict"], alone) < 1e-9


class Watcher(L.Callback):
    def on_after_backward(self, *_: Any) -> None:
        raise AssertionError("never called by the engine")


def test_a_hook_that_the_engine_does_not_call_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"Watcher\.on_after_backward: engine=fast does not call this hook"):
        train(configuration(*SHORT, *QUIET), tmp_path / "callback", callbacks=[Watcher()])
    monkeypatch.setattr(DigitClassifier, "optimizer_step", lambda *_: None, raising=False)
    with pytest.raises(ConfigError, match=r"DigitClassifier\.optimizer_step: engine=fast"):
        train(configuration(*SHORT, *QUIET), tmp_path / "module")


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
    return TrainLoader(datamodule.parts["train"], size, seed, first_step=first, same_order=True)


def without_the_last(loader: TrainLoader) -> Iterator[Any]:
    order = loader.order(loader.seed).split(loader.batch_size)
    for indices in [part for part in order if len(part) == loader.batch_size][loader.first_step :]:
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
    with pytest.raises(ConfigError, match=rf"DigitsDataModule\.{name}: engine=fast does not call this hook"):
        train(configuration(*SHORT, *QUIET), tmp_path)


@pytest.mark.parametrize("flags", [{}, {"on_step": True}, {"on_step": True, "on_epoch": True}], ids=str)
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


class Sizes(L.Callback):
    """The number of images in each batch of validation."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Tensor, *_: Any) -> None:
        self.seen.append(len(outputs))


@pytest.mark.parametrize(("batch_size", "expected"), [(8, [52, 8]), (56, [56, 4])])
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

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        for weights in pl_module.parameters():
            weights.data.mul_(0.99)


@pytest.mark.parametrize("overrides", [[], ["model.activation=gelu", "trainer.val_check_interval=0.25"]])
def test_a_callback_around_batches_is_called_for_each_step(tmp_path: Path, overrides: list[str]) -> None:
    weights = []
    for engine in ("fast", "plain"):
        config = configuration(*SHORT, *QUIET, *overrides, f"engine={engine}")
        train(config, tmp_path / engine, callbacks=[Shrink()])
        weights.append(files.read(tmp_path / engine / "checkpoints" / files.LAST)["state_dict"])
    assert furthest(*weights) < 1e-9


def test_the_check_sees_a_written_step_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnist_mlp.engine.stacked_mlp import ReLU

    backward = ReLU.backward
    monkeypatch.setattr(ReLU, "backward", lambda layer, upstream: backward(layer, upstream).mul_(1.01))
    words = ("optimizer=sgd", "optimizer.lr=0.1")  # Adam would hardly see gradients of another size
    right = trained(tmp_path / "plain", "engine=plain", *words)
    assert furthest(trained(tmp_path / "fast", *words), right) < 1e-9  # autograd took over
    monkeypatch.setattr(stack, "reason_for_autograd", lambda *_: None)
    assert furthest(trained(tmp_path / "unchecked", *words), right) > 1e-6


class Normed(MLP):
    def __init__(self, config: Any, data: Any) -> None:
        super().__init__(config, data)
        self.layers.insert(1, nn.LayerNorm(config.hidden[0]))


class Scaled(MLP):
    """It has a weight outside of its layers."""

    def __init__(self, config: Any, data: Any) -> None:
        super().__init__(config, data)
        self.gain = nn.Parameter(torch.tensor(2.0))

    def logits(self, images: Tensor) -> Tensor:
        return self.gain * super().logits(images)


class Frozen(MLP):
    def __init__(self, config: Any, data: Any) -> None:
        super().__init__(config, data)
        self.layers[0].requires_grad_(False)


@pytest.mark.parametrize("network", [Normed, Scaled, Frozen])
def test_a_network_of_ones_own_trains_through_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: type[MLP]
) -> None:
    monkeypatch.setitem(NETWORKS, "mlp", network)
    logged = ("logger=tensorboard", "dashboard.snapshots=1")
    fast, plain = (trained(tmp_path / engine, *logged, f"engine={engine}") for engine in ("fast", "plain"))
    assert furthest(fast, plain) < 1e-9
