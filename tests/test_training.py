"""A whole run: the same numbers as Lightning used the plain way, and what each configuration key does."""

from __future__ import annotations

import json
import signal
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from helpers.data_sets import synthetic
from helpers.kill_and_resume import configuration
from helpers.networks import mlp
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import ConfigError, DataError, Interrupted
from mnist_mlp.config.schema import PROJECT, Config
from mnist_mlp.data.mnist import MNIST
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.data.sources import load
from mnist_mlp.data.split import split
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.training import train

BASE = ("model.dropout=0", "data.batch_size=64", "trainer.max_epochs=2", "threads=1", "trainer.limit_test_batches=1.0")


class Plain(L.LightningModule):
    """What a tutorial would write: automatic optimization, one minibatch a step, torch's own scheduler."""

    def __init__(self, config: Config, total_steps: int) -> None:
        super().__init__()
        L.seed_everything(config.seed, verbose=False)
        self.config, self.total_steps = config, total_steps
        self.network = mlp(config.model.hidden, mean=config.data.mean, std=config.data.std)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        images, labels = batch
        return F.cross_entropy(self.network(images), labels, label_smoothing=self.config.model.label_smoothing)

    def configure_optimizers(self) -> Any:
        settings = self.config.optimizer
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=settings.lr, betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.lr, self.total_steps, div_factor=25, final_div_factor=400, cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class InEpochOrder(torch.utils.data.Sampler[int]):
    def __init__(self, images: int, seed: int) -> None:
        self.images, self.seed, self.epoch = images, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        return iter(epoch_order(self.images, self.seed, self.epoch).tolist())

    def __len__(self) -> int:
        return self.images


def plain_lightning(config: Config) -> tuple[Plain, torch.Tensor, torch.Tensor]:
    dataset = load(config.data)
    chosen, val = split(dataset.train_labels, config.data.val_size)
    images, labels = torch.from_numpy(dataset.train_images), torch.from_numpy(dataset.train_labels).long()
    loader = DataLoader(
        TensorDataset(images[chosen], labels[chosen]),
        batch_size=config.data.batch_size,
        sampler=InEpochOrder(len(chosen), config.seed),
    )
    module = Plain(config, total_steps=len(loader) * config.trainer.max_epochs)
    trainer = L.Trainer(
        max_epochs=config.trainer.max_epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=config.trainer.gradient_clip_val,
        precision="64-true",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has no workers, and says so
        trainer.fit(module, loader)
    return module, images[val], labels[val]


@pytest.mark.parametrize("clip", ["null", pytest.param("0.5", marks=pytest.mark.slow)])
def test_the_fast_path_ends_in_the_weights_of_plain_lightning(tmp_path: Path, clip: str) -> None:
    """To rounding, in float64: the fused AdamW here does the same sums in another order than torch's default one."""
    config = configuration(*BASE, f"trainer.gradient_clip_val={clip}", "trainer.precision=64-true")
    plain, val_images, val_labels = plain_lightning(config)
    result = train(config, tmp_path)
    content = checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)
    for name, value in plain.state_dict().items():
        ours = content["state_dict"][name]
        torch.testing.assert_close(ours, value, rtol=1e-6, atol=1e-9)

    output = plain.network(val_images)
    assert result.history[-1]["val/loss"] == pytest.approx(F.cross_entropy(output, val_labels).item(), rel=1e-6)
    assert result.history[-1]["val/acc"] == pytest.approx((output.argmax(1) == val_labels).double().mean().item())


@pytest.mark.slow
def test_nll_and_cross_entropy_are_the_same_run(tmp_path: Path) -> None:
    histories = []
    for loss in ("nll", "cross_entropy"):
        (tmp_path / loss).mkdir()
        config = configuration(*BASE, f"model.loss={loss}", "trainer.precision=64-true")
        histories.append(train(config, tmp_path / loss).history)
    for one, other in zip(*histories, strict=True):
        assert one["train/loss"] == pytest.approx(other["train/loss"], abs=1e-6)
        assert one["val/loss"] == pytest.approx(other["val/loss"], abs=1e-6)


def test_the_test_metrics_are_those_of_the_best_checkpoint_on_the_official_test_images(tmp_path: Path) -> None:
    result = train(configuration(*BASE), tmp_path)
    network = checkpoint_file.network_of(checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.BEST))
    dataset = synthetic()
    output = network(torch.from_numpy(dataset.test_images))
    labels = torch.from_numpy(dataset.test_labels).long()
    assert result.metrics["test/acc"] == pytest.approx((output.argmax(1) == labels).double().mean().item())
    assert result.metrics["test/loss"] == pytest.approx(F.cross_entropy(output, labels).item(), rel=1e-5)


@pytest.mark.slow
def test_accuracy_does_not_depend_on_how_steps_are_grouped(tmp_path: Path) -> None:
    weights = []
    for every in (1, 7, 1_000):
        directory = tmp_path / str(every)
        directory.mkdir()
        train(configuration(*BASE, "model.dropout=0.3", f"trainer.log_every_n_steps={every}"), directory)
        weights.append(checkpoint_file.read(directory / "checkpoints" / checkpoint_file.LAST)["state_dict"])
    for name, value in weights[0].items():
        if name.startswith("network."):
            assert torch.equal(value, weights[1][name])
            assert torch.equal(value, weights[2][name])


@pytest.mark.slow
def test_accumulated_batches_are_one_batch_of_their_size(tmp_path: Path) -> None:
    rows = []
    for words in (("data.batch_size=64",), ("data.batch_size=32", "trainer.accumulate_grad_batches=2")):
        (tmp_path / words[0]).mkdir()
        rows.append(train(configuration(*BASE, *words), tmp_path / words[0]).history[-1]["train/loss"])
    assert rows[0] == rows[1]


class PutsOnce(L.Callback):
    """An operation without a deterministic implementation, on any device."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))


@pytest.mark.parametrize("engine", ["fast", pytest.param("plain", marks=pytest.mark.slow)])
def test_an_operation_that_is_not_deterministic_is_refused_or_warned_of(tmp_path: Path, engine: str) -> None:
    def completed(deterministic: str) -> bool:
        words = (f"engine={engine}", f"trainer.deterministic={deterministic}", "trainer.max_epochs=1")
        (tmp_path / deterministic).mkdir()
        return train(configuration(*BASE, *words), tmp_path / deterministic, callbacks=[PutsOnce()]).epochs == 1

    assert completed("false")
    with pytest.warns(UserWarning, match="put_ does not have a deterministic implementation"):
        assert completed("warn")
    with pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"):
        completed("true")


@pytest.mark.parametrize(
    ("words", "steps", "epochs"),
    [
        (("trainer.max_epochs=5", "trainer.limit_train_batches=0.25", "trainer.max_steps=50"), 50, 3),
        (("trainer.fast_dev_run=3",), 3, 1),
        (("trainer.max_epochs=4", "trainer.overfit_batches=1"), 4, 4),
    ],
)
def test_a_run_takes_the_optimizer_steps_that_its_limits_say(
    tmp_path: Path, words: tuple[str, ...], steps: int, epochs: int
) -> None:
    """Any others: tests/data/test_run_length.py."""
    result = train(configuration(*BASE, *words), tmp_path)
    assert checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)["global_step"] == steps
    assert result.epochs == epochs


@pytest.mark.slow
def test_validation_inside_an_epoch_changes_no_weight(tmp_path: Path) -> None:
    weights = []
    for interval in ("1.0", "0.25"):
        (tmp_path / interval).mkdir()
        train(configuration(*BASE, f"trainer.val_check_interval={interval}"), tmp_path / interval)
        weights.append(checkpoint_file.read(tmp_path / interval / "checkpoints" / checkpoint_file.LAST)["state_dict"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0] if "network" in name)


def test_the_metrics_are_those_of_the_best_of_several_validations_in_an_epoch(tmp_path: Path) -> None:
    words = ("trainer.max_epochs=1", "trainer.val_check_interval=2", "trainer.limit_train_batches=12")
    result = train(configuration(*BASE, *words, "scheduler=constant", "optimizer.lr=0.3"), tmp_path)
    assert result.metrics["val/acc"] > result.history[0]["val/acc"]  # or nothing is shown: the last one was the best
    network = checkpoint_file.network_of(checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.BEST))
    dataset = synthetic()
    _, val = split(dataset.train_labels, 500)
    answers, labels = network(torch.from_numpy(dataset.train_images[val])).argmax(1).numpy(), dataset.train_labels[val]
    assert result.metrics["val/acc"] == pytest.approx((answers == labels).mean())


def test_an_epoch_that_was_not_validated_shows_no_validation(tmp_path: Path) -> None:
    words = ("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3", "trainer.limit_train_batches=5")
    result = train(configuration(*BASE, *words), tmp_path)
    assert [row["val/acc"] is not None for row in result.history] == [False, True, False]
    assert result.best_epoch == 1


def test_a_completed_run_does_not_answer_for_another_configuration(tmp_path: Path) -> None:
    words = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "logger=none")
    before = train(configuration(*words), tmp_path)
    again = (*words, f"resume={tmp_path}")
    for other in ("seed=7", "model.hidden=[8]"):
        with pytest.raises(ConfigError, match=rf"{other.partition('=')[0]}: cannot change on resume"):
            train(configuration(*again, other), tmp_path)
    assert train(configuration(*again, "logger=csv"), tmp_path).metrics == before.metrics


def test_a_run_may_leave_validation_and_test_out(tmp_path: Path) -> None:
    words = ("trainer.limit_val_batches=0", "trainer.limit_test_batches=0", "trainer.limit_train_batches=5")
    result = train(configuration(*BASE, *words), tmp_path)
    assert (result.status, result.best_epoch) == (directories.COMPLETED, None)
    assert {name for name, value in result.metrics.items() if value is not None} == {"train/loss"}
    assert result.metrics["train/loss"] == result.history[-1]["train/loss"]


@pytest.mark.slow
def test_one_batch_can_be_learnt_by_heart(tmp_path: Path) -> None:
    result = train(composed("data=synthetic", "debug=overfit", "logger=none"), tmp_path)
    assert result.history[-1]["train/acc"] == 1.0
    assert result.history[-1]["train/loss"] < 1e-3  # augmentation would keep it above


@pytest.mark.extras
def test_every_event_file_counts_in_optimizer_steps(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(configuration(*BASE, "logger=tensorboard", "trainer.log_every_n_steps=43"), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("optimizer/lr")] == [43, 86, 129, 172]
    val = events.Scalars("accuracy/val")
    assert [event.step for event in val] == [86, 172]
    assert [event.value for event in val] == pytest.approx([row["val/acc"] for row in result.history])


class Seen(L.Callback):
    def __init__(self) -> None:
        self.handlers: set[Any] = set()

    def on_train_epoch_start(self, *_: Any) -> None:
        self.handlers.add(signal.getsignal(signal.SIGUSR1))


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_slurms_signal_is_left_to_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """Lightning's handler would save a checkpoint of its own, and test that one."""
    for name, value in {"NTASKS": "1", "JOB_NAME": "train", "JOB_ID": "7", "PROCID": "0", "LOCALID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    seen = Seen()
    train(configuration(*BASE, f"engine={engine}", "trainer.max_epochs=1"), tmp_path, callbacks=[seen])
    assert seen.handlers == {signal.SIG_DFL}


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_last_epoch_that_max_steps_shortens_is_validated(tmp_path: Path, engine: str) -> None:
    words = (f"engine={engine}", "trainer.max_steps=20", "trainer.limit_train_batches=54", "scheduler=constant")
    result = train(configuration(*BASE, *words), tmp_path)
    assert result.epochs == 1
    assert result.metrics["val/acc"] is not None
    assert (tmp_path / "checkpoints" / checkpoint_file.BEST).exists()


class StopsInEpoch(L.Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 2:
            raise Interrupted(signal.SIGTERM)


def test_a_lengthened_run_that_is_stopped_has_no_test_result_of_an_earlier_network(tmp_path: Path) -> None:
    words = ("scheduler=constant", "trainer.limit_test_batches=1")
    first = train(configuration(*BASE, *words, "trainer.max_epochs=1"), tmp_path)
    longer = configuration(*BASE, *words, "trainer.max_epochs=3", f"resume={tmp_path}")
    with pytest.raises(Interrupted):
        train(longer, tmp_path, callbacks=[StopsInEpoch()])
    left = json.loads((tmp_path / "result.json").read_text())
    assert first.metrics["test/acc"] is not None
    assert left["best_epoch"] == 1
    assert (left["metrics"]["test/acc"], left["metrics"]["test/loss"]) == (None, None)
    assert left["metrics"]["val/acc"] > first.metrics["val/acc"]


@pytest.mark.slow
def test_a_network_of_bfloat16_trains(tmp_path: Path) -> None:
    result = train(configuration(*BASE, "trainer.precision=bf16-mixed"), tmp_path)
    assert result.metrics["val/acc"] > 0.5


@pytest.fixture(scope="module")
def real_mnist() -> None:
    try:
        MNIST.load_from(PROJECT / "data")
    except DataError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_the_seeds_recipe_falls_as_its_text_says(real_mnist: None, tmp_path: Path) -> None:
    result = train(composed("experiment=seed"), tmp_path)
    losses = [row["train/loss"] for row in result.history]
    assert losses == pytest.approx([1.9053, 0.8920, 0.5384, 0.4314, 0.3829], rel=0.15)
    assert 0.36 <= losses[-1] <= 0.41
    assert json.loads((tmp_path / directories.RESULT).read_text())["history"] == result.history


@pytest.mark.slow
def test_the_default_run_reaches_98_and_a_half_percent_on_mnist(default_run: Path) -> None:
    result = json.loads((default_run / directories.RESULT).read_text())
    assert result["metrics"]["test/acc"] >= 0.985
    assert result["parameters"] == 109_386
