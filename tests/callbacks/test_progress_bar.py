"""The terminal of a run: whole lines above one bar, within 80 columns."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.kill_and_resume import configuration

from mnist_mlp.callbacks.history import _line
from mnist_mlp.callbacks.progress_bar import RunBar
from mnist_mlp.cli.console import Console
from mnist_mlp.training import train


class Terminal(io.StringIO):
    """Knows of control characters what a progress bar needs."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        return [line.split("\x1b[K")[-1].split("\r")[-1].rstrip() for line in self.getvalue().split("\n")]


def test_a_logged_line_takes_the_place_of_the_bar_which_is_drawn_below(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    length: Any = SimpleNamespace(total_steps=100, epochs=2)
    checkpoint: Any = SimpleNamespace(monitor="val/acc", mode="max")
    bar = RunBar(length, checkpoint, title="stack 1/3 ")
    trainer: Any = SimpleNamespace(global_step=0, current_epoch=0, callback_metrics={"val/acc": torch.tensor(0.75)})
    bar.on_train_start(trainer)
    trainer.global_step = 50
    bar.on_train_batch_end(trainer)
    Console(terminal).emit(logging.LogRecord("", logging.INFO, "", 0, "epoch   1/2", None, None))
    assert terminal.screen()[-1].startswith("stack 1/3 epoch 1/2  50%|")
    bar.on_train_epoch_end(trainer)
    line, drawn = terminal.screen()
    assert line == "epoch   1/2"
    assert drawn.startswith("stack 1/3 epoch 1/2  50%|")
    assert drawn.endswith(", val acc 75.00%")
    bar.on_train_end()
    assert terminal.screen() == [line, ""]  # nothing of the bar stays


@pytest.mark.parametrize("wanted", [True, False])
def test_a_run_draws_a_bar_on_a_terminal_if_it_is_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    words = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1")
    train(configuration(*words, f"trainer.enable_progress_bar={wanted}"), tmp_path)
    assert ("epoch 1/1" in terminal.getvalue()) == wanted


@pytest.mark.parametrize("metrics", [["acc"], ["acc", "f1"]])
def test_the_line_of_an_epoch_fits_into_80_columns(metrics: list[str]) -> None:
    row = {f"{stage}/{name}": 1.0 for stage in ("train", "val") for name in ("loss", *metrics)}
    lines = _line({"epoch": 98, "seconds": 99.9, **row}, epochs=100).splitlines()
    assert len(lines) == len(metrics)
    assert max(map(len, lines)) <= 80
