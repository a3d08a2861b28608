"""The learning rate of each step, against torch's own schedulers."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mnist_mlp.config.schema import SchedulerConfig, WarmupConfig
from mnist_mlp.optim.lr_schedule import lr_factor


def torch_rates(total: int, start: float, end: float, warmup: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=1.0,
        total_steps=total,
        pct_start=warmup,
        div_factor=1 / start,
        final_div_factor=start / end,
        cycle_momentum=False,
    )
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("total", [10, 97, 430])
def test_one_cycle_is_torchs(total: int) -> None:
    config = WarmupConfig(name="one_cycle", warmup=0.3, start=0.04, end=1e-4)
    ours = [lr_factor(config, step, total) for step in range(total)]
    assert ours == pytest.approx(torch_rates(total, 0.04, 1e-4, 0.3), abs=1e-12)


def test_cosine_rises_in_a_line_and_ends_where_it_says() -> None:
    config = WarmupConfig(name="cosine", warmup=0.5, start=0.2, end=0.1)
    rates = [lr_factor(config, step, 101) for step in range(101)]
    assert rates[0] == pytest.approx(0.2)
    rises = {round(after - before, 9) for before, after in pairwise(rates[:49])}
    assert len(rises) == 1
    assert max(rates) == pytest.approx(1, abs=1e-3)
    assert rates[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("warmup", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_runs_have_finite_rates(total: int, warmup: float) -> None:
    config = WarmupConfig(name="one_cycle", warmup=warmup, start=0.04, end=0.0)
    assert all(0 <= lr_factor(config, step, total) <= 1 for step in range(total))


def test_constant_is_constant() -> None:
    assert {lr_factor(SchedulerConfig(name="constant"), step, 7) for step in range(7)} == {1.0}
