"""The chain rule written out for a stack is what autograd finds, member by member."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mnist_mlp.config.schema import ACTIVATIONS, LOSSES, ModelConfig
from mnist_mlp.engine.stacked_loss import StackedLoss
from mnist_mlp.engine.stacked_mlp import StackedMLP
from mnist_mlp.model import CLASSES, MLP, PIXELS, loss_of

MEMBERS, IMAGES = 3, 7


def networks(hidden: list[int], activation: str) -> list[MLP]:
    made = [MLP(hidden=hidden, activation=activation).double() for _ in range(MEMBERS)]
    for network in made:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
    return made


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("hidden", [[], [6], [6, 5]])
def test_outputs_and_gradients_are_those_of_each_network_alone(
    hidden: list[int], masked: bool, activation: str
) -> None:
    together = networks(hidden, activation)
    x = torch.randn(MEMBERS, IMAGES, PIXELS, dtype=torch.double)
    upstream = torch.randn(MEMBERS, IMAGES, CLASSES, dtype=torch.double)
    masks = [2.0 * (torch.rand(MEMBERS, IMAGES, width) > 0.5).double() for width in hidden] if masked else []
    expected = []
    for member, network in enumerate(together):
        value, layer = x[member], 0
        for part in network.layers:
            value = part(value)
            if masked and not isinstance(part, nn.Linear):
                value, layer = value * masks[layer][member], layer + 1
        value.backward(upstream[member])
        expected.append((value.detach(), [parameter.grad.clone() for parameter in network.parameters()]))
        for parameter in network.parameters():
            parameter.grad.zero_()
    stack = StackedMLP(together)
    for _ in range(2):  # nothing of a step is left over for the next one
        logits = stack.forward(x.clone(), masks)
        stack.backward(upstream.clone(), masks)
        for member, (output, gradients) in enumerate(expected):
            torch.testing.assert_close(logits[member], output, rtol=1e-12, atol=1e-12)
            found = [parameter.grad for parameter in together[member].parameters()]
            torch.testing.assert_close(found, gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("images", [7, 64])
@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.15, 0.3])
@pytest.mark.parametrize("others", LOSSES)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_losses_are_to_the_bit_those_of_each_member_alone(
    loss: str, others: str, smoothing: float, images: int
) -> None:
    models = [
        ModelConfig(hidden=[], activation="relu", dropout=0.0, loss=name, label_smoothing=share)
        for name, share in ((loss, smoothing), (others, 0.1))
    ]
    logits = 3 * torch.randn(2, images, CLASSES)
    labels = torch.randint(CLASSES, (2, images))
    losses, gradients = StackedLoss(models, like=logits)(logits, labels)
    for member, model in enumerate(models):
        own = logits[member].clone().requires_grad_()
        head = {"cross_entropy": lambda x: x, "nll": lambda x: x.log_softmax(1), "mse": lambda x: x.softmax(1)}
        value = loss_of(model.loss, head[model.loss](own), labels[member], model.label_smoothing)
        value.backward()
        torch.testing.assert_close(losses[member], value.detach(), rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(gradients[member], own.grad, rtol=0, atol=0)
