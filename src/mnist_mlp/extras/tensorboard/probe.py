"""A look into a network that leaves it as it is: its layers, their outputs, the gradients of their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnist_mlp.data.loader import in_batches
from mnist_mlp.model.networks import Network

Loss = Callable[[Tensor, Tensor], Tensor]
Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True, kw_only=True)
class Probe:
    activations: Sequence[Tensor]
    """The output of each activation function, in the order of the computation."""
    gradients: Sequence[Tensor | None]
    """Of the loss by the weights of each of `layers_of`; None for a layer that the network does not use."""


def can_be_copied(network: nn.Module) -> bool:
    """Whether `deepcopy` can copy it: not if weights are computed, as by `torch.nn.utils.weight_norm` or pruning."""
    try:
        deepcopy(network)
    except (RuntimeError, TypeError):
        return False
    return True


def layers_of(network: nn.Module) -> list[Layer]:
    """The fully connected and convolutional layers, in the order of their definition."""
    return [layer for layer in network.modules() if isinstance(layer, Layer)]


def sees_pixels(layer: Layer, pixels: int) -> bool:
    """Whether the weights of a unit can be looked at as an image: one for each pixel."""
    return isinstance(layer, nn.Linear) and layer.in_features == pixels


def probe(network: nn.Module, loss: Loss, images: Tensor, labels: Tensor) -> Probe:
    """The probe of these images: `loss` takes the network's output for them and their labels."""
    copy = deepcopy(network).eval().requires_grad_(True)
    activations: list[Tensor] = []
    for module in copy.modules():
        # MultiheadAttention is defined among the activations too, and returns a pair.
        is_activation = type(module).__module__ == "torch.nn.modules.activation"
        if is_activation and not isinstance(module, nn.MultiheadAttention):
            module.register_forward_hook(lambda _module, _inputs, output: activations.append(output.detach()))
    with torch.enable_grad():
        value = loss(copy(images), labels)
        weights = [layer.weight for layer in layers_of(copy)]
        gradients = torch.autograd.grad(value, weights, allow_unused=True) if weights else ()
    return Probe(activations=activations, gradients=gradients)


@torch.no_grad()
def logits_of(network: Network, images: Tensor) -> Tensor:
    """Logits `(N, classes)` of images `(N, C, H, W)`."""
    return in_batches(deepcopy(network).eval().logits, images)


@torch.no_grad()
def features(network: nn.Module, images: Tensor) -> Tensor:
    """What the last layer of the computation takes in for each of these images: `(N, width)`."""
    copy = deepcopy(network).eval()
    taken = images

    def take(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal taken
        taken = inputs[0]

    for layer in layers_of(copy):
        layer.register_forward_pre_hook(take)
    copy(images)
    return taken.flatten(1).float()
