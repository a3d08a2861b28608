"""Stacked MLP: M perceptrons of one shape; every layer is one batched matrix product.

The backward pass is written out by hand. Autograd would allocate new gradients in every step, and build a graph of the
same few products each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from mnist_mlp.engine.flat import Flat

aten = torch.ops.aten


class Activation(Protocol):
    """Activation of one hidden layer, with its derivative.

    `backward` multiplies the gradient `upstream` by the derivative at the argument of the latest `forward`. Both may
    change their argument in place.
    """

    def forward(self, x: Tensor) -> Tensor: ...

    def backward(self, upstream: Tensor) -> Tensor: ...


class ReLU:
    def forward(self, x: Tensor) -> Tensor:
        self.output = x.relu_()
        return self.output

    def backward(self, upstream: Tensor) -> Tensor:
        aten.threshold_backward.grad_input(upstream, self.output, 0, grad_input=upstream)
        return upstream


class Sigmoid:
    def forward(self, x: Tensor) -> Tensor:
        self.output = x.sigmoid_()
        return self.output

    def backward(self, upstream: Tensor) -> Tensor:
        aten.sigmoid_backward.grad_input(upstream, self.output, grad_input=upstream)
        return upstream


class Tanh:
    def forward(self, x: Tensor) -> Tensor:
        self.output = x.tanh_()
        return self.output

    def backward(self, upstream: Tensor) -> Tensor:
        aten.tanh_backward.grad_input(upstream, self.output, grad_input=upstream)
        return upstream


class GELU:
    def forward(self, x: Tensor) -> Tensor:
        self.input = x
        output: Tensor = aten.gelu(x)
        return output

    def backward(self, upstream: Tensor) -> Tensor:
        aten.gelu_backward.grad_input(upstream, self.input, grad_input=upstream)
        return upstream


class SiLU:
    def forward(self, x: Tensor) -> Tensor:
        self.input = x
        output: Tensor = aten.silu(x)
        return output

    def backward(self, upstream: Tensor) -> Tensor:
        aten.silu_backward.grad_input(upstream, self.input, grad_input=upstream)
        return upstream


class LeakyReLU:
    SLOPE = nn.LeakyReLU().negative_slope

    def forward(self, x: Tensor) -> Tensor:
        self.input = x
        output: Tensor = aten.leaky_relu(x, self.SLOPE)
        return output

    def backward(self, upstream: Tensor) -> Tensor:
        aten.leaky_relu_backward.grad_input(upstream, self.input, self.SLOPE, False, grad_input=upstream)
        return upstream


class ELU:
    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = aten.elu_(x)
        self.output = output
        return output

    def backward(self, upstream: Tensor) -> Tensor:
        # alpha, scale and input scale of `nn.ELU()`; True: computed from the output.
        aten.elu_backward.grad_input(upstream, 1, 1, 1, True, self.output, grad_input=upstream)
        return upstream


ACTIVATIONS: dict[type[nn.Module], type[Activation]] = {
    nn.ReLU: ReLU,
    nn.Sigmoid: Sigmoid,
    nn.Tanh: Tanh,
    nn.GELU: GELU,
    nn.SiLU: SiLU,
    nn.LeakyReLU: LeakyReLU,
    nn.ELU: ELU,
}


class StackedMLP:
    """M perceptrons, whose parameters and gradients are in the rows of `flat`."""

    def __init__(self, layers: nn.Sequential, flat: Flat) -> None:
        """`layers` are those of one member: Linear layers, with an activation and perhaps dropout between them."""
        self.weights, self.gradients = flat.views(flat.parameters), flat.views(flat.gradients)
        """weight `(M, out, in)` and bias `(M, out)` of the first layer, then of the second, and so on"""
        self.biases = [bias.unsqueeze(1) for bias in self.weights[1::2]]
        self.transposed = [weight.mT for weight in self.weights[::2]]
        self.activations = [
            ACTIVATIONS[type(layer)]() for layer in layers if not isinstance(layer, nn.Linear | nn.Dropout)
        ]
        self._inputs: list[Tensor] = []

    def forward(self, x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """From normalised images `(M, B, pixels)` to logits `(M, B, classes)`.

        Args:
            masks: dropout masks `(M, B, width)`, one for each hidden layer; empty without dropout.
        """
        self._inputs = inputs = []
        last = len(self.activations)
        for layer, (weight, bias) in enumerate(zip(self.transposed, self.biases, strict=True)):
            inputs.append(x)
            x = torch.baddbmm(bias, x, weight)
            if layer < last:
                x = self.activations[layer].forward(x)
                if masks:
                    x = x * masks[layer]
        return x

    def backward(self, upstream: Tensor, masks: Sequence[Tensor]) -> None:
        """Backpropagation through the latest `forward`; overwrites the gradients.

        Args:
            upstream: gradients of the members' losses with respect to their logits, `(M, B, classes)`.
        """
        for layer in reversed(range(len(self._inputs))):
            torch.bmm(upstream.mT, self._inputs[layer], out=self.gradients[2 * layer])
            torch.sum(upstream, dim=1, out=self.gradients[2 * layer + 1])
            if layer > 0:
                upstream = torch.bmm(upstream, self.weights[2 * layer])
                if masks:
                    upstream.mul_(masks[layer - 1])
                upstream = self.activations[layer - 1].backward(upstream)


def is_known(layers: nn.Module) -> bool:
    """Whether `layers` are a perceptron that `StackedMLP` can compute.

    Compares exact types, not subclasses. An activation needs the default settings, such as the slope of `LeakyReLU`.
    """
    if type(layers) is not nn.Sequential or len(layers) == 0:
        return False
    if type(layers[0]) is not nn.Linear or type(layers[-1]) is not nn.Linear:
        return False
    kinds = [type(layer) for layer in layers if type(layer) is not nn.Dropout]
    linear = [layer for layer in layers if type(layer) is nn.Linear]
    # No layer without a bias, and none that stands there twice.
    has_all_parameters = len(list(layers.parameters())) == 2 * len(linear)
    # Not `weight_orig` and the like of spectral norm or pruning.
    has_all_parameters &= all({name for name, _ in layer.named_parameters()} == {"weight", "bias"} for layer in linear)
    alternate = all(kind is nn.Linear for kind in kinds[::2]) and all(kind in ACTIVATIONS for kind in kinds[1::2])
    as_by_default = all(_settings(layer) == _settings(type(layer)()) for layer in layers if type(layer) in ACTIVATIONS)
    return has_all_parameters and alternate and as_by_default


def _settings(activation: nn.Module) -> dict[str, object]:
    """Arguments that the activation was made with, as far as they change its values."""
    without_effect = {"training", "inplace"}
    return {
        name: value
        for name, value in vars(activation).items()
        if not name.startswith("_") and name not in without_effect
    }
