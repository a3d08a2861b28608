"""The engine makes the steps of Lightning's own loop, and reports what that reports."""

from __future__ import annotations

import csv
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from helpers.kill_and_resume import configuration
from helpers.short_runs import QUIET, SHORT, furthest, slow, trained

from mnist_mlp.config.errors import Interrupted
from mnist_mlp.training import train


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


@pytest.mark.parametrize(
    "network", [[], slow(["model=cnn", "model.channels=[3]", "model.hidden=[8]"])], ids=["mlp", "cnn"]
)
def test_fast_and_plain_report_the_same_history(tmp_path: Path, network: list[str]) -> None:
    words = [*SHORT, *QUIET, "metrics=[acc,f1]", *network]
    fast, plain = (train(configuration(*words, f"engine={name}"), tmp_path / name) for name in ("fast", "plain"))
    for one, other in zip(fast.history, plain.history, strict=True):
        names = {"epoch", "lr", "train/loss", "train/acc", "train/f1", "val/loss", "val/acc", "val/f1"}
        assert names == set(one) - {"seconds"}
        assert {name: one[name] for name in names} == pytest.approx({name: other[name] for name in names}, abs=1e-6)
    assert fast.metrics == pytest.approx(plain.metrics, abs=1e-6)


def test_fast_and_plain_log_every_validation(tmp_path: Path) -> None:
    logged = []
    for engine in ("fast", "plain"):
        words = ("logger=csv", "threads=1", "trainer.val_check_interval=5", f"engine={engine}")
        train(configuration(*SHORT, *words), tmp_path / engine)
        with (tmp_path / engine / "csv" / "metrics.csv").open() as table:
            logged.append([float(row["val/loss"]) for row in csv.DictReader(table) if row["val/loss"]])
    assert len(logged[0]) == 2 * 2 + 1  # and after the last step
    assert logged[0] == pytest.approx(logged[1], rel=1e-5)


class StopAt(L.Callback):
    """A signal after an optimizer step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_run_stopped_at_its_last_step_within_an_epoch_has_validated_it(tmp_path: Path, engine: str) -> None:
    limits = ("trainer.max_steps=17", "trainer.min_epochs=2", "trainer.min_steps=100")  # of 12 steps in each epoch
    config = configuration(*SHORT, *QUIET, *limits, f"engine={engine}")
    with pytest.raises(Interrupted):
        train(config, tmp_path, callbacks=[StopAt(17)])
    result = train(replace(config, resume=str(tmp_path)), tmp_path, callbacks=[StopAt(0)])
    assert [row["val/acc"] is not None for row in result.history] == [True, True]


def test_lightnings_own_loop_resumes_within_an_epoch_to_the_same_weights(tmp_path: Path) -> None:
    words = ("engine=plain", "scheduler=constant", "model.dropout=0.3")
    whole = trained(tmp_path / "whole", *words)
    trained(tmp_path / "parts", *words, "trainer.max_steps=17")  # of 12 in each epoch
    resumed = trained(tmp_path / "parts", *words, f"resume={tmp_path / 'parts'}")
    assert furthest(whole, resumed) == 0
