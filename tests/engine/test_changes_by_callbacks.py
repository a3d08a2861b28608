"""What a callback changes during training is trained as Lightning's own loop trains it."""

from __future__ import annotations

import io
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from helpers.kill_and_resume import configuration
from helpers.short_runs import QUIET, SHORT, furthest
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from mnist_mlp.callbacks.early_stopping import EarlyStopping
from mnist_mlp.config.schema import EarlyStoppingConfig
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import run, train


class Freezes(L.Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.network.layers[0].requires_grad_(trainer.current_epoch == 0)


class Rebinds(L.Callback):
    """The weights become other memory."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        halved = parameters_to_vector(pl_module.network.parameters()).detach() / 2
        vector_to_parameters(halved, pl_module.network.parameters())


class SlowStart(L.Callback):
    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step < 5:
            trainer.optimizers[0].param_groups[0]["lr"] = 1e-5


class AnotherLoss(L.Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.loss = lambda output, labels: 3 * torch.nn.functional.cross_entropy(output, labels)


class Mixes(L.Callback):
    """Changes the images of each batch, and counts what it is given after it."""

    seen = 0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        batch[0][:, :, ::2] = 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        assert outputs["loss"].grad_fn is None and len(batch[0]) == len(batch[1])
        self.seen += batch_idx


def weights(directory: Path, *words: str, callbacks: list[L.Callback]) -> dict[str, Tensor]:
    train(configuration(*SHORT, *QUIET, *words), directory, callbacks=callbacks)
    state: dict[str, Tensor] = checkpoint_file.read(directory / "checkpoints" / checkpoint_file.LAST)["state_dict"]
    return state


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return weights(tmp_path_factory.mktemp("unchanged"), callbacks=[])


@pytest.mark.parametrize("callback", [Freezes, Rebinds, SlowStart, AnotherLoss, Mixes])
def test_what_a_callback_changes_is_trained_as_changed(
    tmp_path: Path, callback: type[L.Callback], unchanged: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    called = [callback(), callback()]
    fast, plain = (
        weights(tmp_path / engine, f"engine={engine}", callbacks=[one])
        for engine, one in zip(("fast", "plain"), called, strict=True)
    )
    assert furthest(fast, plain) < 1e-9
    assert furthest(fast, unchanged) > 1e-4
    assert caplog.text.count(f"trained by autograd: {callback.__name__} ") == 1
    assert [getattr(one, "seen", 0) for one in called] == [2 * sum(range(12)) if callback is Mixes else 0] * 2


def test_a_callback_that_only_reads_leaves_the_hand_written_step(
    tmp_path: Path, unchanged: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    class Reads(L.Callback):
        only_reads = True

        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            pl_module.log("own/norm", parameters_to_vector(pl_module.parameters()).norm())

    caplog.set_level("INFO")
    assert furthest(weights(tmp_path, callbacks=[Reads()]), unchanged) == 0
    assert "trained by autograd" not in caplog.text


class Inherits(EarlyStopping):
    """A subclass of a callback that only reads."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.network.layers[0].requires_grad_(False)


def test_that_a_callback_only_reads_is_not_inherited(tmp_path: Path, unchanged: dict[str, Tensor]) -> None:
    freezes = [Inherits(EarlyStoppingConfig(monitor="val/loss", mode="min", patience=9, min_delta=0.0)) for _ in "12"]
    fast, plain = (
        weights(tmp_path / engine, f"engine={engine}", callbacks=[one])
        for engine, one in zip(("fast", "plain"), freezes, strict=True)
    )
    assert furthest(fast, plain) < 1e-9
    assert furthest(fast, unchanged) > 1e-4


class Saves(L.Callback):
    """A checkpoint of its own after the fifth step, and copies of the module."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if trainer.global_step == 5:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "own.ckpt")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.save(deepcopy(pl_module), io.BytesIO())


def test_a_callback_saves_the_step_that_was_done_and_a_run_resumes_from_it(tmp_path: Path) -> None:
    whole = weights(tmp_path, callbacks=[Saves()])
    own, last = tmp_path / "own.ckpt", tmp_path / "checkpoints" / checkpoint_file.LAST
    assert checkpoint_file.read(own)["global_step"] == 5
    for file in (tmp_path / "result.json", *last.parent.iterdir()):
        file.unlink()
    own.rename(last)
    assert furthest(weights(tmp_path, f"resume={tmp_path}", callbacks=[Saves()]), whole) == 0


def test_the_module_of_a_finished_run_has_the_optimizers_of_another_trainer(tmp_path: Path) -> None:
    class Keeps(L.Callback):
        def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            self.module = pl_module

    keeps = Keeps()
    weights(tmp_path, callbacks=[keeps])
    assert "optimizers" not in vars(keeps.module)


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_steps_that_are_required_are_made_before_a_callback_ends_the_run(tmp_path: Path, engine: str) -> None:
    class Stops(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            trainer.should_stop = trainer.should_stop or trainer.global_step == 5

    config = configuration(*SHORT, *QUIET, "trainer.min_steps=8", f"engine={engine}")
    found = train(config, tmp_path, callbacks=[Stops()])
    assert [row["val/acc"] is not None for row in found.history] == [True]
    assert checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)["global_step"] == 12


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_an_epoch_that_a_callback_ends_is_validated(tmp_path: Path, engine: str) -> None:
    class Stops(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            trainer.should_stop = trainer.global_step == 17

    found = train(configuration(*SHORT, *QUIET, f"engine={engine}"), tmp_path, callbacks=[Stops()])
    assert found.epochs == 2
    assert found.history[1]["val/acc"] is not None
    assert checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)["global_step"] == 17


def test_only_the_weights_of_the_optimizer_are_clipped_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithTemperature(DigitClassifier):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.temperature = torch.nn.Parameter(torch.tensor(3.0))

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return super().training_step(batch, batch_idx) + 10 * self.temperature.square()

    monkeypatch.setattr(run, "DigitClassifier", WithTemperature)
    words = ("trainer.gradient_clip_val=0.5", "optimizer=sgd", "optimizer.lr=0.1")
    fast, plain = (weights(tmp_path / engine, f"engine={engine}", *words, callbacks=[]) for engine in ("fast", "plain"))
    assert furthest(fast, plain) < 1e-9
