"""Inputs of the hand-written step: the same numbers whether a thread makes them ahead or not."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.kill_and_resume import configuration
from torch import Tensor

from mnist_mlp.data.augment import Augmentation
from mnist_mlp.engine import step_inputs
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train

RUN = ("augment=elastic", "trainer.max_epochs=2", "trainer.limit_train_batches=21", "trainer.limit_test_batches=0")


def trained(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str, cores: int
) -> tuple[dict[str, Tensor], set[str]]:
    """The weights after training on a machine with so many cores, and the names of the threads that augmented."""
    threads: set[str] = set()
    augment = Augmentation.__call__

    def observed(augmentation: Augmentation, *given: Any) -> Tensor:
        threads.add(threading.current_thread().name.partition("_")[0])
        return augment(augmentation, *given)

    with monkeypatch.context() as patched:
        patched.setattr(step_inputs, "cores", lambda: cores)
        patched.setattr(Augmentation, "__call__", observed)
        train(configuration(*RUN, *overrides), directory)
    weights: dict[str, Tensor] = checkpoint_file.read(directory / "checkpoints" / checkpoint_file.LAST)["state_dict"]
    return weights, threads - {threading.current_thread().name}


def test_a_free_core_augments_the_next_minibatch_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, no_threads = trained(tmp_path / "one core", monkeypatch, cores=1)
    ahead, threads = trained(tmp_path / "two cores", monkeypatch, cores=2)
    assert (no_threads, threads) == (set(), {"inputs"})
    assert all(torch.equal(alone[name], ahead[name]) for name in alone)


def test_threads_that_are_set_are_not_exceeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(tmp_path, monkeypatch, "threads=1", cores=2)[1] == set()


def test_an_error_in_the_thread_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_inputs, "cores", lambda: 2)
    draw = Augmentation.draw

    def failing(augmentation: Augmentation, seed: int, step: int, count: int) -> Tensor:
        if step == 13:
            raise RuntimeError("no noise for step 13")
        return draw(augmentation, seed, step, count)

    monkeypatch.setattr(Augmentation, "draw", failing)
    with pytest.raises(RuntimeError, match="no noise for step 13"):
        train(configuration(*RUN), tmp_path)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("inputs")]
