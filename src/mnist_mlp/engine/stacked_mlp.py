"""Networks of one shape as one: every layer is a batched matrix product, and a member is a row of it.

The chain rule is written out here. Autograd would put the gradients of every step into new memory and keep a graph of
what is always the same few products: a step of 16 members on a core took 1.07 times as long with it for all but the
gradients of the weights, and half as long again with it for everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from mnist_mlp.engine.stacked_optimizer import share_rows
from mnist_mlp.model import MLP


class Activation(Protocol):
    """Of one hidden layer; `backward` belongs to the last `forward`, and either may change what it is given."""

    def forward(self, x: Tensor) -> Tensor: ...

    def backward(self, upstream: Tensor) -> Tensor: ...


class InPlaceReLU:
    def forward(self, x: Tensor) -> Tensor:
        self.output = x.relu_()
        return self.output

    def backward(self, upstream: Tensor) -> Tensor:
        # What autograd calls for ReLU: upstream where the output is above 0, else 0.
        torch.ops.aten.threshold_backward.grad_input(upstream, self.output, 0, grad_input=upstream)
        return upstream


class AnyActivation:
    """Differentiated by autograd."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            self.input, self.output = x, self.module(x.requires_grad_())
        output: Tensor = self.output.detach()
        return output

    def backward(self, upstream: Tensor) -> Tensor:
        gradient: Tensor = torch.autograd.grad(self.output, self.input, upstream)[0]
        return gradient


class StackedMLP:
    """The parameters of the networks, and their gradients, become views of the rows of `weights` and `gradients`."""

    def __init__(self, networks: Sequence[MLP]) -> None:
        columns = list(zip(*(network.parameters() for network in networks), strict=True))
        self.weights = [share_rows(column) for column in columns]
        """`(M, out, in)` and `(M, out)` of the first layer, of the second, and so on"""
        self.gradients = [share_rows([_grad(parameter) for parameter in column]) for column in columns]
        self.activations: list[Activation] = [
            InPlaceReLU() if isinstance(layer, nn.ReLU) else AnyActivation(layer)
            for layer in networks[0].layers
            if not isinstance(layer, nn.Linear | nn.Dropout)
        ]
        self._inputs: list[Tensor] = []

    def forward(self, x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """What the first layer takes, `(M, B, 784)`, to logits `(M, B, 10)`.

        Args:
            masks: of dropout, `(M, B, width)` for each hidden layer; or none.
        """
        self._inputs = []
        for layer, (weight, bias) in enumerate(zip(self.weights[::2], self.weights[1::2], strict=True)):
            self._inputs.append(x)
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
            if layer < len(self.activations):
                x = self.activations[layer].forward(x)
                if masks:
                    x = x * masks[layer]
        return x

    def backward(self, upstream: Tensor, masks: Sequence[Tensor]) -> None:
        """Write the gradients of the last `forward`.

        Args:
            upstream: the gradients of the members' losses by their logits `(M, B, 10)`.
        """
        for layer in reversed(range(len(self._inputs))):
            torch.bmm(upstream.mT, self._inputs[layer], out=self.gradients[2 * layer])
            torch.sum(upstream, dim=1, out=self.gradients[2 * layer + 1])
            if layer > 0:
                upstream = torch.bmm(upstream, self.weights[2 * layer])
                if masks:
                    upstream.mul_(masks[layer - 1])
                upstream = self.activations[layer - 1].backward(upstream)


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
