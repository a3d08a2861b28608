"""The update of a stack is the update of torch.optim, member by member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from mnist_mlp.engine.stacked_optimizer import elementwise, fused, prepare, share_rows
from mnist_mlp.optim.optimizers import set_rate

SHAPES = [(5, 3), (5,)]
CASES: list[tuple[type[Optimizer], list[dict[str, Any]]]] = [
    (AdamW, [{"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.1}, {"lr": 1.0}]),
    (Adam, [{"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.01, "betas": (0.5, 0.9)}, {"lr": 1.0}]),
    (SGD, [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.01, "weight_decay": 0.2}, {"lr": 0.5, "momentum": 0.5}]),
    (SGD, [{"lr": 0.1, "momentum": 0.9, "nesterov": True}, {"lr": 0.01, "momentum": 0.1, "nesterov": True}]),
]

every_update = pytest.mark.parametrize(
    ("kind", "algorithm", "settings"), [(kind, *case) for kind in ("fused", "elementwise") for case in CASES]
)


def members(algorithm: type[Optimizer], settings: list[dict[str, Any]]) -> list[Optimizer]:
    generator = torch.Generator().manual_seed(0)
    return [
        algorithm([nn.Parameter(torch.randn(shape, generator=generator).double()) for shape in SHAPES], **setting)
        for setting in settings
    ]


def parameters(optimizer: Optimizer) -> list[Tensor]:
    return optimizer.param_groups[0]["params"]


def stacked_update(kind: str, optimizers: list[Optimizer]) -> tuple[Callable[[], None], list[Tensor]]:
    for optimizer in optimizers:
        prepare(optimizer)
    columns = list(zip(*map(parameters, optimizers), strict=True))
    weights = [share_rows(column) for column in columns]
    gradients = [share_rows([parameter.grad for parameter in column]) for column in columns]
    update = fused(optimizers) if kind == "fused" else elementwise(optimizers, weights, gradients)

    def under_no_grad() -> None:
        with torch.no_grad():
            update()

    return under_no_grad, gradients


@every_update
def test_every_member_takes_the_steps_of_its_own_torch_optimizer(
    kind: str, algorithm: type[Optimizer], settings: list[dict[str, Any]]
) -> None:
    alone, together = members(algorithm, settings), members(algorithm, settings)
    update, gradients = stacked_update(kind, together)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        for stacked in gradients:
            stacked.copy_(torch.randn(stacked.shape, generator=generator))
        for number, (one, other) in enumerate(zip(alone, together, strict=True)):
            for parameter, stacked in zip(parameters(one), gradients, strict=True):
                parameter.grad = stacked[number].clone()
            for optimizer in (one, other):
                set_rate(optimizer, settings[number]["lr"] / (1 + step))
            one.step()
        update()
    for one, other in zip(alone, together, strict=True):
        for left, right in zip(parameters(one), parameters(other), strict=True):
            torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


@every_update
def test_a_members_optimizer_saves_what_torch_would(
    kind: str, algorithm: type[Optimizer], settings: list[dict[str, Any]]
) -> None:
    alone, together = members(algorithm, settings), members(algorithm, settings)
    update, gradients = stacked_update(kind, together)
    for stacked in gradients:
        stacked.fill_(1.0)
    for one in alone:
        for parameter in parameters(one):
            parameter.grad = torch.ones_like(parameter)
        one.step()
    update()
    for one, other in zip(alone, together, strict=True):
        expected, found = one.state_dict(), other.state_dict()
        assert expected["param_groups"] == found["param_groups"]
        for parameter, state in expected["state"].items():
            for name, value in state.items():
                torch.testing.assert_close(found["state"][parameter][name], value, rtol=1e-12, atol=1e-12)


def test_preparing_changes_no_weight() -> None:
    for algorithm, settings in CASES:
        for before, after in zip(members(algorithm, settings), members(algorithm, settings), strict=True):
            prepare(after)
            assert all(torch.equal(*pair) for pair in zip(parameters(before), parameters(after), strict=True))
