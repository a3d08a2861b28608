"""A member of the engine's stack: what `configure_optimizers` may return, what resumes, what a failed write ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from helpers.kill_and_resume import configuration, difference
from torch.nn import functional as F
from torchmetrics import MeanMetric

from mnist_mlp.config.errors import ConfigError, SaveError
from mnist_mlp.engine.member_checkpoint_io import MemberCheckpointIO
from mnist_mlp.model.networks import MLP
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import run, train

SHORT = ("trainer.limit_train_batches=20", "trainer.limit_test_batches=0", "checkpoint.every_seconds=60")


def adam(module: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), lr=1e-2)


def test_a_schedule_that_remembers_its_steps_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def halving(module: Any) -> dict[str, Any]:
        optimizer = adam(module)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 15, 0.5), "interval": "step"},
        }

    monkeypatch.setattr(DigitClassifier, "configure_optimizers", halving)
    whole = train(configuration(*SHORT, "scheduler=constant", "trainer.max_epochs=2"), tmp_path / "whole")
    assert [row["lr"] for row in whole.history] == [1e-2 / 2, 1e-2 / 4]
    words = (*SHORT, "scheduler=constant")
    train(configuration(*words, "trainer.max_epochs=1"), tmp_path / "parts")
    train(configuration(*words, "trainer.max_epochs=2", f"resume={tmp_path / 'parts'}"), tmp_path / "parts")
    assert difference(tmp_path / "whole", tmp_path / "parts") is None


@pytest.mark.parametrize("engine", ["fast", pytest.param("plain", marks=pytest.mark.slow)])
def test_noise_that_no_layer_of_the_network_announces_is_resumed(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = MLP.logits
    monkeypatch.setattr(MLP, "logits", lambda network, x: F.dropout(logits(network, x), 0.3, network.training))
    words = (*SHORT, f"engine={engine}", "model.dropout=0", "scheduler=constant")
    train(configuration(*words, "trainer.max_epochs=2"), tmp_path / "whole")
    train(configuration(*words, "trainer.max_epochs=1"), tmp_path / "parts")
    train(configuration(*words, "trainer.max_epochs=2", f"resume={tmp_path / 'parts'}"), tmp_path / "parts")
    whole, parts = (
        checkpoint_file.read(tmp_path / name / "checkpoints" / checkpoint_file.LAST)["state_dict"]
        for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_an_optimizer_may_come_alone_in_its_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DigitClassifier, "configure_optimizers", lambda module: {"optimizer": adam(module)})
    assert train(configuration(*SHORT, "trainer.max_epochs=1"), tmp_path).history[0]["lr"] == 1e-2


def test_a_metric_of_ones_own_is_resumed_within_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Measuring(DigitClassifier):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.mean_label = MeanMetric()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.mean_label.update(batch[1].double())
            self.log("train/mean_label", self.mean_label, on_step=False, on_epoch=True)
            return super().training_step(batch, batch_idx)

    monkeypatch.setattr(run, "DigitClassifier", Measuring)
    words = (*SHORT, "scheduler=constant")
    whole = train(configuration(*words), tmp_path / "whole")
    train(configuration(*words, "trainer.max_steps=5"), tmp_path / "parts")
    parts = train(configuration(*words, f"resume={tmp_path / 'parts'}"), tmp_path / "parts")
    means = [[row["train/mean_label"] for row in found.history] for found in (whole, parts)]
    assert means[0] == means[1] and min(means[0]) > 3


@pytest.mark.parametrize("interval", [{}, {"interval": "epoch"}, {"interval": "step", "frequency": 2}])
def test_a_schedule_that_only_lightnings_loop_can_step_is_refused(
    interval: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def configured(module: Any) -> dict[str, Any]:
        optimizer = adam(module)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": torch.optim.lr_scheduler.ConstantLR(optimizer), **interval},
        }

    monkeypatch.setattr(DigitClassifier, "configure_optimizers", configured)
    with pytest.raises(ConfigError, match="configure_optimizers: engine=fast expects an optimizer other than"):
        train(configuration(*SHORT), tmp_path)


@pytest.mark.parametrize("older", [False, True])
def test_a_run_that_lightnings_early_stopping_had_stopped_stays_stopped(tmp_path: Path, older: bool) -> None:
    stops = "+callbacks.own.lightning.EarlyStopping={monitor: val/acc, mode: max, stopping_threshold: 0.01}"
    words = (*SHORT, "trainer.max_epochs=3", stops)
    assert train(configuration(*words), tmp_path).epochs == 1
    if older:  # does not say that it was stopped; the next validation reaches the threshold too
        last = tmp_path / "checkpoints" / checkpoint_file.LAST
        content = checkpoint_file.read(last)
        content.pop("stopped", None)
        checkpoint_file.put(checkpoint_file.packed(content), last)
    (tmp_path / "result.json").unlink()  # as if killed before it was written
    assert len(train(configuration(*words, f"resume={tmp_path}"), tmp_path).history) == (2 if older else 1)


class StopsForNow(L.Callback):
    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        trainer.should_stop = True


def test_a_run_goes_on_without_the_callback_that_had_stopped_it(tmp_path: Path) -> None:
    words = (*SHORT, "trainer.max_epochs=2")
    assert train(configuration(*words), tmp_path, callbacks=[StopsForNow()]).epochs == 1
    (tmp_path / "result.json").unlink()
    assert train(configuration(*words, f"resume={tmp_path}"), tmp_path).epochs == 2


def test_a_write_that_fails_ends_its_member_alone_and_a_mistake_of_ours_all() -> None:
    failed: list[tuple[int, Exception]] = []
    members: list[Any] = [
        SimpleNamespace(directory=Path(str(number)), fail=lambda error, number=number: failed.append((number, error)))
        for number in range(2)
    ]
    full = SaveError("the disk is full")
    place = Path("1", "checkpoints", "last.ckpt")
    MemberCheckpointIO(members).fail(place, full)
    assert failed == [(1, full)]
    for alone, error in [(members, KeyError("x")), (members[1:], full)]:
        with pytest.raises(type(error)):
            MemberCheckpointIO(alone).fail(place, error)
    assert len(failed) == 1
