"""The update of a stack is the update of torch.optim, member by member."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer

from mnist_mlp.engine import stacked_optimizer
from mnist_mlp.engine.flat import Flat

CASES: list[tuple[type[Optimizer], list[dict[str, Any]]]] = [
    (AdamW, [{"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.1}, {"lr": 1.0}]),
    (Adam, [{"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.01, "betas": (0.5, 0.9)}, {"lr": 1.0}]),
    (AdamW, [{"lr": 0.1}, {"lr": 0.1}, {"lr": 0.2}]),  # some share one call of the kernel
    (SGD, [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.01, "weight_decay": 0.2}, {"lr": 0.5, "momentum": 0.5}]),
    (SGD, [{"lr": 0.1, "momentum": 0.9, "nesterov": True}, {"lr": 0.01, "momentum": 0.1, "nesterov": True}]),
    (SGD, [{"lr": 0.1}, {"lr": 0.2, "weight_decay": 0.1}]),
]
every_update = pytest.mark.parametrize(
    ("on_cpu", "algorithm", "settings"), [(on_cpu, *case) for on_cpu in (True, False) for case in CASES]
)


class Members:
    """Networks with an optimizer each; the same ones every time."""

    def __init__(self, algorithm: type[Optimizer], settings: list[dict[str, Any]]) -> None:
        torch.manual_seed(0)
        self.networks = [nn.Linear(3, 5).double() for _ in settings]
        self.optimizers = [
            algorithm(network.parameters(), **setting) for network, setting in zip(self.networks, settings, strict=True)
        ]

    def stacked(self, on_cpu: bool) -> tuple[stacked_optimizer.Update, Tensor]:
        """Their update as one, and their gradients `(M, P)`."""
        flat = Flat(self.networks)
        build = stacked_optimizer.UPDATES[type(self.optimizers[0])][0 if on_cpu else 1]
        return build(self.optimizers, flat), flat.gradients


@every_update
def test_every_member_takes_the_steps_of_its_own_torch_optimizer(
    on_cpu: bool, algorithm: type[Optimizer], settings: list[dict[str, Any]]
) -> None:
    alone, together = Members(algorithm, settings), Members(algorithm, settings)
    update, gradients = together.stacked(on_cpu)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        drawn = torch.randn(gradients.shape, generator=generator)
        gradients.copy_(drawn)
        rates = [setting["lr"] / (1 + step) for setting in settings]
        for number, (network, optimizer) in enumerate(zip(alone.networks, alone.optimizers, strict=True)):
            own = drawn[number].double().split([parameter.numel() for parameter in network.parameters()])
            for parameter, gradient in zip(network.parameters(), own, strict=True):
                parameter.grad = gradient.view_as(parameter).clone()
            optimizer.param_groups[0]["lr"] = rates[number]
            optimizer.step()
        with torch.no_grad():
            update(rates)
        assert torch.equal(gradients, drawn.to(gradients.dtype))  # their norm is logged afterwards
    for one, other in zip(alone.networks, together.networks, strict=True):
        for left, right in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


@every_update
def test_a_members_optimizer_saves_what_torch_would(
    on_cpu: bool, algorithm: type[Optimizer], settings: list[dict[str, Any]]
) -> None:
    alone, together = Members(algorithm, settings), Members(algorithm, settings)
    update, gradients = together.stacked(on_cpu)
    gradients.fill_(1.0)
    for network, optimizer in zip(alone.networks, alone.optimizers, strict=True):
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    with torch.no_grad():
        update([setting["lr"] for setting in settings])
    for one, other in zip(alone.optimizers, together.optimizers, strict=True):
        expected, found = one.state_dict(), other.state_dict()
        assert expected["param_groups"] == found["param_groups"]
        for parameter, state in expected["state"].items():
            for name, value in state.items():
                if value is not None:
                    torch.testing.assert_close(found["state"][parameter][name], value, rtol=1e-12, atol=1e-12)


def test_an_optimizer_or_a_setting_without_an_update_is_not_taken_for_another() -> None:
    network = nn.Linear(3, 5)
    unknown = [
        NAdam(network.parameters()),
        AdamW(network.parameters(), amsgrad=True),
        Adam(network.parameters(), weight_decay=0.1, decoupled_weight_decay=True),
        SGD(network.parameters(), lr=0.1, momentum=0.9, dampening=0.5),
        SGD([{"params": [network.weight]}, {"params": [network.bias]}], lr=0.1),
        AdamW([network.weight]),
    ]
    assert not any(stacked_optimizer.is_known(optimizer, network) for optimizer in unknown)
    assert stacked_optimizer.is_known(AdamW(network.parameters()), network)
