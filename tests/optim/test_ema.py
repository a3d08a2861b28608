"""Averaged weights are those of a plain loop, and they are what is validated, tested and kept."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from helpers.data_sets import synthetic
from helpers.kill_and_resume import configuration
from torch import nn
from torch.nn import functional as F

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.optim.ema import ema_weight, update_ema
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train

SHORT = ("averaging.decay=0.9", "trainer.max_epochs=1", "trainer.limit_test_batches=1.0", "threads=1")


def test_the_mean_is_that_of_a_plain_loop() -> None:
    average, network = (nn.Linear(7, 1, bias=False).double() for _ in range(2))
    mean = average.weight.data.zero_()[0]
    expected = torch.zeros(7, dtype=torch.float64)
    for step, weight in enumerate(torch.randn(300, 7, dtype=torch.float64)):
        network.weight.data[0] = weight
        update_ema(average, network, ema_weight(0.98, step))
        kept = min(0.98, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * weight
    torch.testing.assert_close(mean, expected)


def test_the_running_means_of_batch_norm_are_those_of_the_network() -> None:
    average, network = (nn.Sequential(nn.Linear(7, 3), nn.BatchNorm1d(3)) for _ in range(2))
    network(torch.randn(20, 7) + 5)
    update_ema(average, network, 0.1)
    for name, buffer in average.named_buffers():
        assert torch.equal(buffer, network.get_buffer(name)), name


@pytest.mark.slow
def test_a_run_keeps_the_mean_of_the_weights_of_its_steps(tmp_path: Path) -> None:
    """The weights after each step, from runs that stop there; the schedule is constant, so they are the same run."""
    states = []
    for steps in range(1, 5):
        (tmp_path / str(steps)).mkdir()
        train(configuration(*SHORT, "scheduler=constant", f"trainer.max_steps={steps}"), tmp_path / str(steps))
        states.append(checkpoint_file.read(tmp_path / str(steps) / "checkpoints" / checkpoint_file.LAST)["state_dict"])
    name = "layers.0.weight"
    for step, (before, after) in enumerate(itertools.pairwise(states), start=1):
        kept = (1 + step) / (10 + step)
        expected = kept * before[f"ema_network.{name}"] + (1 - kept) * after[f"network.{name}"]
        torch.testing.assert_close(after[f"ema_network.{name}"], expected, rtol=1e-5, atol=1e-7)


def test_the_averaged_network_is_validated_tested_and_rebuilt(tmp_path: Path) -> None:
    result = train(configuration(*SHORT), tmp_path)
    content = checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.BEST)
    network = checkpoint_file.network_of(content)
    assert torch.equal(network.layers[0].weight, content["state_dict"]["ema_network.layers.0.weight"])
    assert not torch.equal(network.layers[0].weight, content["state_dict"]["network.layers.0.weight"])
    dataset = synthetic()
    images, labels = torch.from_numpy(dataset.test_images), torch.from_numpy(dataset.test_labels).long()
    assert result.metrics["test/loss"] == pytest.approx(F.cross_entropy(network(images), labels).item(), rel=1e-5)


def test_a_running_mean_in_bfloat16_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"averaging\.decay: expected 0 under trainer\.precision=bf16-true"):
        configuration("averaging.decay=0.9", "trainer.precision=bf16-true")
