"""Stacked MLP: M perceptrons of one shape; every layer is one batched matrix product.

The backward pass is written out by hand. Autograd would allocate new gradients in every step, and build a graph of the
same few products each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnist_mlp.engine.flat import Flat

aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """An activation and its derivative. Both functions may change their first argument in place, and return it."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    """from the gradient with respect to the output, and the argument or the result of `forward`, to the gradient with
    respect to the argument"""
    from_output: bool
    """`backward` takes the result of `forward`, which may overwrite its argument; else the argument"""


def _in_place(derivative: Any, *settings: float | bool) -> Callable[[Tensor, Tensor], Tensor]:
    """`Activation.backward` by an operator of aten that takes the gradient, then the value, then `settings`."""

    def backward(upstream: Tensor, value: Tensor) -> Tensor:
        derivative.grad_input(upstream, value, *settings, grad_input=upstream)
        return upstream

    return backward


def _elu_backward(upstream: Tensor, output: Tensor) -> Tensor:
    # alpha, scale and input scale of `nn.ELU()`; True: computed from the output.
    aten.elu_backward.grad_input(upstream, 1, 1, 1, True, output, grad_input=upstream)
    return upstream


SLOPE = nn.LeakyReLU().negative_slope

ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(torch.relu_, _in_place(aten.threshold_backward, 0), from_output=True),
    nn.Sigmoid: Activation(torch.sigmoid_, _in_place(aten.sigmoid_backward), from_output=True),
    nn.Tanh: Activation(torch.tanh_, _in_place(aten.tanh_backward), from_output=True),
    nn.GELU: Activation(aten.gelu, _in_place(aten.gelu_backward), from_output=False),
    nn.SiLU: Activation(aten.silu, _in_place(aten.silu_backward), from_output=False),
    nn.LeakyReLU: Activation(aten.leaky_relu, _in_place(aten.leaky_relu_backward, SLOPE, False), from_output=False),
    nn.ELU: Activation(aten.elu_, _elu_backward, from_output=True),
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
            ACTIVATIONS[type(layer)] for layer in layers if not isinstance(layer, nn.Linear | nn.Dropout)
        ]
        self._inputs: list[Tensor] = []
        self._kept: list[Tensor] = []
        """of the latest `forward`: the input of each layer, and what `backward` of each activation takes"""

    def forward(self, x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """From normalised images `(M, B, pixels)` to logits `(M, B, classes)`.

        Args:
            masks: dropout masks `(M, B, width)`, one for each hidden layer; empty without dropout.
        """
        self._inputs, self._kept = inputs, kept = [], []
        last = len(self.activations)
        for layer, (weight, bias) in enumerate(zip(self.transposed, self.biases, strict=True)):
            inputs.append(x)
            x = torch.baddbmm(bias, x, weight)
            if layer < last:
                activation, argument = self.activations[layer], x
                x = activation.forward(argument)
                kept.append(x if activation.from_output else argument)
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
                upstream = self.activations[layer - 1].backward(upstream, self._kept[layer - 1])


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
