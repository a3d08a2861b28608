"""Means over an epoch, and their state in a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from mnist_mlp.engine.epoch_log import EpochLog


class Measured(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.accuracy = MulticlassAccuracy(3, average="micro")

    def metrics_of(self, stage: str) -> dict[str, Metric]:
        return {f"{stage}/acc": self.accuracy}


def test_a_mean_counts_each_batch_by_its_images_also_after_a_resume() -> None:
    values, images = [0.5, 0.25, 4.0], [3, 5, 1]
    log = EpochLog()
    for value, count in zip(values[:2], images[:2], strict=True):
        log.log("train/x", value, batch_size=count)
    resumed = EpochLog()
    state = log.state_dict(nn.Module())
    resumed.load_state_dict(state, nn.Module())
    resumed.log("train/x", values[2], batch_size=images[2])
    assert float(resumed.compute()["train/x"]) == pytest.approx(np.average(values, weights=images))


def test_values_of_a_step_are_still_there_after_a_resume() -> None:
    log, resumed = EpochLog(), EpochLog()
    log.log("a", 7.0, on_step=True, on_epoch=False)
    log.log("b", 2.0, on_step=True, on_epoch=True)
    resumed.load_state_dict(log.state_dict(nn.Module()), nn.Module())
    assert resumed.compute() == log.compute()
    assert {"a", "b_step", "b_epoch"} <= resumed.compute().keys()


@pytest.mark.parametrize("reported", [True, False])
def test_a_checkpoint_says_whether_the_epoch_was_reported(reported: bool) -> None:
    log = EpochLog()
    log.reported = reported
    resumed = EpochLog()
    resumed.load_state_dict(log.state_dict(nn.Module()), nn.Module())
    assert resumed.reported is reported


def test_in_an_older_checkpoint_the_epoch_was_not_reported() -> None:
    log = EpochLog()
    log.load_state_dict({"sums": {}, "metrics": {}}, Measured())
    assert log.reported is False


def test_other_ranks_begin_at_zero_so_that_nothing_counts_twice() -> None:
    log = EpochLog()
    log.log("train/x", 2.0, batch_size=4)
    resumed = EpochLog()
    resumed.load_state_dict(log.state_dict(nn.Module()), nn.Module(), rank=1)
    assert resumed.sums == {"train/x": (0.0, 0.0)}


@pytest.mark.parametrize("cut", range(1, 7))
def test_what_an_epoch_adds_up_is_the_same_to_the_bit_wherever_it_was_cut(cut: int) -> None:
    losses = torch.rand(7).tolist()
    whole, stopped, resumed = EpochLog(), EpochLog(), EpochLog()
    for log, part in ((whole, losses), (stopped, losses[:cut])):
        for loss in part:
            log.add("train/loss", loss, 2)
    resumed.load_state_dict(stopped.state_dict(nn.Module()), nn.Module())
    for loss in losses[cut:]:
        resumed.add("train/loss", loss, 2)
    assert resumed.sums == whole.sums
    assert float(whole.compute()["train/loss"]) == pytest.approx(sum(losses) / 7, abs=1e-7)


@pytest.mark.parametrize("older", [False, True])
def test_an_epoch_that_was_cut_behind_its_last_batch_has_its_metrics_without_a_warning(older: bool) -> None:
    stopped, resumed, module = EpochLog(), EpochLog(), Measured()
    module.accuracy.update(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2]))
    stopped.log("train/acc", module.accuracy)
    state = stopped.state_dict(module)
    if older:  # knows the project's own metrics alone
        del state["metric_places"]
    resumed.load_state_dict(state, Measured())
    assert float(resumed.compute()["train/acc"]) == 0.75


def test_a_metric_that_the_module_no_longer_has_is_left_out() -> None:
    stopped, resumed, module = EpochLog(), EpochLog(), Measured()
    stopped.log("train/acc", module.accuracy)
    resumed.load_state_dict(stopped.state_dict(module), nn.Module())
    assert resumed.compute() == {}
