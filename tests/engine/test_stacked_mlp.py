"""The chain rule written out for a stack is what autograd finds, member by member."""

from __future__ import annotations

import pytest
import torch
from helpers.networks import mlp, model_config
from torch import nn
from torch.nn import functional as F

from mnist_mlp.config.schema import ACTIVATION_NAMES, LOSS_NAMES
from mnist_mlp.engine.flat import Flat
from mnist_mlp.engine.stacked_loss import HAND_WRITTEN, StackedLoss
from mnist_mlp.engine.stacked_mlp import StackedMLP, is_known
from mnist_mlp.model.losses import LOSSES as ORIGINAL

MEMBERS, IMAGES, CLASSES = 3, 7, 10


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("hidden", [[], [6], [6, 5]])
def test_outputs_and_gradients_are_those_of_each_network_alone(
    hidden: list[int], masked: bool, activation: str
) -> None:
    networks = [mlp(hidden, activation).double() for _ in range(MEMBERS)]
    x = torch.randn(MEMBERS, IMAGES, 784, dtype=torch.double)
    upstream = torch.randn(MEMBERS, IMAGES, CLASSES, dtype=torch.double)
    masks = [2.0 * (torch.rand(MEMBERS, IMAGES, width) > 0.5).double() for width in hidden] if masked else []
    expected = []
    for member, network in enumerate(networks):
        value, layer = x[member], 0
        for part in network.layers:
            value = part(value)
            if masked and not isinstance(part, nn.Linear):
                value, layer = value * masks[layer][member], layer + 1
        value.backward(upstream[member])
        expected.append((value.detach(), [parameter.grad.clone() for parameter in network.parameters()]))
    assert is_known(networks[0].layers)
    stack = StackedMLP(networks[0].layers, Flat(networks))
    for _ in range(2):  # nothing of a step is left over for the next one
        with torch.no_grad():
            logits = stack.forward(x.clone(), masks)
            stack.backward(upstream.clone(), masks)
        for member, (output, gradients) in enumerate(expected):
            torch.testing.assert_close(logits[member], output, rtol=1e-12, atol=1e-12)
            found = [parameter.grad for parameter in networks[member].parameters()]
            torch.testing.assert_close(found, gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.15])
@pytest.mark.parametrize("others", HAND_WRITTEN)
@pytest.mark.parametrize("loss", HAND_WRITTEN)
def test_losses_and_their_gradients_are_those_of_each_member_alone(loss: str, others: str, smoothing: float) -> None:
    models = [model_config(loss=loss, label_smoothing=smoothing), model_config(loss=others, label_smoothing=0.1)]
    logits = 3 * torch.randn(2, IMAGES, CLASSES, dtype=torch.double)
    labels = torch.randint(CLASSES, (2, IMAGES))
    stacked = StackedLoss(models, CLASSES, like=logits)
    targets = stacked.targets(labels)
    losses, gradients = stacked.losses(logits, targets), stacked.gradient(logits, targets, IMAGES)
    for member, model in enumerate(models):
        own = logits[member].clone().requires_grad_()
        original = ORIGINAL[model.loss]
        value = original.function(original.head(own), labels[member], model)
        value.backward()
        torch.testing.assert_close(losses[member].mean(), value.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradients[member], own.grad, rtol=1e-12, atol=1e-12)


def test_the_losses_of_this_project_and_every_activation_are_written_out() -> None:
    assert {"cross_entropy", "nll", "mse"} <= set(HAND_WRITTEN) <= set(LOSS_NAMES)
    assert all(is_known(mlp([5], activation).layers) for activation in ACTIVATION_NAMES)


@pytest.mark.parametrize(
    "layers",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        nn.Sequential(nn.Linear(784, 8), nn.BatchNorm1d(8), nn.Linear(8, 10)),
        nn.Sequential(nn.Linear(784, 8), nn.Hardtanh(), nn.Linear(8, 10)),
        nn.Sequential(nn.Linear(784, 8), nn.ReLU()),
        nn.ModuleList([nn.Linear(784, 10)]),
        nn.Sequential(),
        nn.Sequential(nn.Linear(784, 8), nn.GELU(approximate="tanh"), nn.Linear(8, 10)),
        nn.Sequential(nn.Linear(784, 8), nn.ELU(alpha=2.0), nn.Linear(8, 10)),
    ],
)
def test_other_layers_are_not_taken_for_a_perceptron(layers: nn.Module) -> None:
    assert not is_known(layers)


def test_a_gradient_of_the_loss_is_softmax_minus_target() -> None:
    logits, labels = torch.randn(1, IMAGES, CLASSES, dtype=torch.double), torch.randint(CLASSES, (1, IMAGES))
    stacked = StackedLoss([model_config()], CLASSES, like=logits)
    by_hand = (logits.softmax(-1) - F.one_hot(labels, CLASSES)) / IMAGES
    torch.testing.assert_close(stacked.gradient(logits, stacked.targets(labels), IMAGES), by_hand)
