"""The updates are those of the papers, written out by hand in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mnist_mlp.config.compose import composed
from mnist_mlp.optim.optimizers import build_optimizer

LR, DECAY, FIRST, SECOND, EPS, MOMENTUM = 0.1, 0.3, 0.8, 0.95, 1e-2, 0.7
SHARED = (f"optimizer.lr={LR}", f"optimizer.weight_decay={DECAY}")
ADAM = (*SHARED, f"optimizer.betas=[{FIRST},{SECOND}]", f"optimizer.eps={EPS}")
SGD = (*SHARED, f"optimizer.momentum={MOMENTUM}")


def adam(weight: Tensor, gradients: list[Tensor], *, decoupled: bool) -> Tensor:
    """Kingma and Ba 2015, algorithm 1; decoupled decay as in Loshchilov and Hutter 2019, algorithm 2."""
    mean = square = torch.zeros_like(weight)
    for step, gradient in enumerate(gradients, start=1):
        if decoupled:
            weight = weight - LR * DECAY * weight
        else:
            gradient = gradient + DECAY * weight
        mean = FIRST * mean + (1 - FIRST) * gradient
        square = SECOND * square + (1 - SECOND) * gradient**2
        weight = weight - LR * (mean / (1 - FIRST**step)) / ((square / (1 - SECOND**step)).sqrt() + EPS)
    return weight


def sgd(weight: Tensor, gradients: list[Tensor], *, nesterov: bool) -> Tensor:
    """Sutskever et al. 2013, sec. 2, with the learning rate outside of the velocity, which begins as the gradient."""
    velocity = torch.zeros_like(weight)
    for gradient in gradients:
        gradient = gradient + DECAY * weight
        velocity = MOMENTUM * velocity + gradient
        weight = weight - LR * (gradient + MOMENTUM * velocity if nesterov else velocity)
    return weight


@pytest.mark.parametrize(
    ("overrides", "by_hand"),
    [
        (("optimizer=adamw", *ADAM), lambda *given: adam(*given, decoupled=True)),
        (("optimizer=adam", *ADAM), lambda *given: adam(*given, decoupled=False)),
        (("optimizer=sgd", "optimizer.nesterov=false", *SGD), lambda *given: sgd(*given, nesterov=False)),
        (("optimizer=sgd", "optimizer.nesterov=true", *SGD), lambda *given: sgd(*given, nesterov=True)),
    ],
    ids=["adamw", "adam", "sgd", "nesterov"],
)
def test_steps_follow_the_paper(overrides: tuple[str, ...], by_hand: Callable[..., Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn(6, 4, 3, generator=generator, dtype=torch.float64)
    layer = nn.Linear(3, 4, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(start)
    optimizer = build_optimizer(composed(*overrides).optimizer, layer.parameters())
    for gradient in gradients:
        layer.weight.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(layer.weight.detach(), by_hand(start, gradients), rtol=1e-12, atol=1e-12)
