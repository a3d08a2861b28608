"""The network and its losses, against formulas written out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from helpers.networks import mlp, model_config
from torch.nn import functional as F

from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.model.losses import LOSSES as TABLE
from mnist_mlp.model.networks import MLP, DataSpec, build_network
from mnist_mlp.model.size import parameters, shape

LOSSES = ("cross_entropy", "nll", "mse")


def loss_of(loss: str, output: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    return TABLE[loss].function(output, labels, model_config(loss=loss, label_smoothing=smoothing))


def images(count: int = 32, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=generator)


def labels(count: int = 32, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 10, (count,), generator=torch.Generator().manual_seed(seed))


def network(loss: str = "cross_entropy", hidden: tuple[int, ...] = (128, 64), activation: str = "relu") -> MLP:
    torch.manual_seed(0)
    return mlp(hidden, activation, loss=loss, mean=0.5, std=0.5).double()


def test_the_default_network_has_the_parameters_of_784_128_64_10() -> None:
    assert sum(parameter.numel() for parameter in network().parameters()) == 109_386


@pytest.mark.parametrize("words", [(), ("model.hidden=[]",), ("model=cnn",), ("model=cnn", "model.channels=[3,5,7]")])
def test_the_size_that_is_announced_is_that_of_the_network(words: tuple[str, ...]) -> None:
    config = composed(*words).model
    spec = DataSpec(image_shape=(3, 30, 20), class_names=tuple("abcde"), mean=(0.5,), std=(0.5,))
    built = sum(parameter.numel() for parameter in build_network(config, spec).parameters())
    assert parameters(config, spec.image_shape, classes=5) == built


@pytest.mark.parametrize("group", ["mlp", "cnn"])
def test_no_size_is_announced_for_a_network_of_ones_own_with_the_keys_of_another(group: str) -> None:
    config = replace(composed(f"model={group}").model, name="mine")
    assert parameters(config, (3, 30, 20), classes=5) is None


def test_the_shape_of_a_network_is_written_as_it_is_spoken_of() -> None:
    assert shape(composed().model, (1, 28, 28), classes=10) == "784-128-64-10"
    cnn = composed("model=cnn", "model.channels=[16,32]", "model.hidden=[128]").model
    assert shape(cnn, (3, 20, 24), classes=5) == "20x24x3, 16, 32, 128-5"


@pytest.mark.parametrize("hidden", [(), (5,), (7, 6, 5, 4)])
def test_any_list_of_hidden_sizes_makes_a_network(hidden: tuple[int, ...]) -> None:
    net = network(hidden=hidden)
    assert net(images()).shape == (32, 10)
    widths = [784, *hidden, 10]
    weights = [p.shape for name, p in net.named_parameters() if name.endswith("weight")]
    assert weights == [(after, before) for before, after in pairwise(widths)]


def test_weights_start_uniform_within_one_over_the_root_of_the_inputs() -> None:
    for parameter in network().layers[0].parameters():
        bound = 1 / math.sqrt(784)
        assert parameter.abs().max() <= bound
        assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.15)


def test_grey_levels_are_normalised_inside_the_network() -> None:
    expected = (images().flatten(1).double() / 255 - 0.5) / 0.5
    torch.testing.assert_close(network().normalise(images()), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_are_one_softmax_of_the_logits_whatever_the_head(loss: str) -> None:
    plain, net = network("cross_entropy"), network(loss)
    expected = plain(images()).softmax(dim=1)
    torch.testing.assert_close(net.log_probabilities(images()).exp(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_nll_on_log_softmax_is_cross_entropy_on_logits_in_value_and_gradient(smoothing: float) -> None:
    gradients, values = [], []
    for loss in ("cross_entropy", "nll"):
        net = network(loss)
        value = loss_of(loss, net(images()), labels(), smoothing)
        value.backward()
        values.append(value.item())
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in net.parameters()]))
    assert values[0] == pytest.approx(values[1], abs=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_is_its_formula(loss: str, smoothing: float) -> None:
    output = network(loss)(images())
    target = F.one_hot(labels(), 10).double() * (1 - smoothing) + smoothing / 10
    log_p = output if loss == "nll" else output.log_softmax(1)
    expected = ((output - target) ** 2).mean() if loss == "mse" else -(target * log_p).sum(1).mean()
    torch.testing.assert_close(loss_of(loss, output, labels(), smoothing), expected, rtol=1e-12, atol=1e-12)


def test_large_logits_keep_a_finite_loss() -> None:
    logits = torch.tensor([[1000.0, 0.0, *[0.0] * 8]])
    assert loss_of("cross_entropy", logits, torch.tensor([1])).item() == pytest.approx(1000)
    assert torch.isinf(-logits.softmax(1).log()[0, 1])  # what taking the logarithm of a probability would give


def test_gradients_are_the_chain_rule_through_the_two_layer_sigmoid_network() -> None:
    """x -> L1 -> sigmoid -> L2 -> loss, each local gradient written out and multiplied from the loss back."""
    net, x, y = network(hidden=(16,), activation="sigmoid"), images(), labels()
    loss_of("cross_entropy", net(x), y).backward()

    first, second = net.layers[0], net.layers[2]
    with torch.no_grad():
        inputs = (x.flatten(1).double() / 255 - 0.5) / 0.5  # (B, 784)
        hidden = 1 / (1 + torch.exp(-(inputs @ first.weight.T + first.bias)))  # (B, 16)
        logits = hidden @ second.weight.T + second.bias  # (B, 10)
        exponentials = torch.exp(logits)
        d_logits = (exponentials / exponentials.sum(1, keepdim=True) - F.one_hot(y, 10)) / len(y)
        d_hidden = d_logits @ second.weight
        d_sum = d_hidden * hidden * (1 - hidden)
        expected = [d_sum.T @ inputs, d_sum.sum(0), d_logits.T @ hidden, d_logits.sum(0)]
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "gelu", "silu", "leaky_relu", "elu"])
def test_gradients_match_finite_differences(activation: str) -> None:
    net, x, y = network(hidden=(6,), activation=activation), images(3), labels(3)
    weight = net.layers[0].weight
    loss_of("cross_entropy", net(x), y).backward()
    step = 1e-6
    for row, column in ((0, 100), (3, 400), (5, 783)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[row, column] += sign * step
                values.append(loss_of("cross_entropy", net(x), y).item())
                weight[row, column] -= sign * step
        assert weight.grad[row, column].item() == pytest.approx(
            (values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-9
        )


def test_more_blocks_than_the_sides_can_be_halved_are_refused() -> None:
    spec = DataSpec(image_shape=(1, 9, 30), class_names=tuple("ab"), mean=(0.5,), std=(0.5,))
    build_network(composed("model=cnn", "model.channels=[2,2,2]").model, spec)
    with pytest.raises(ConfigError, match=r"model\.channels: expected at most 3 convolutions.* 9 x 30 pixels, got 4"):
        build_network(composed("model=cnn", "model.channels=[2,2,2,2]").model, spec)


def test_each_block_of_the_cnn_halves_the_sides() -> None:
    """Sides of 20 and 28 become 5 and 7."""
    config = composed("model=cnn", "model.channels=[4,6]", "model.hidden=[9]")
    data = DataSpec(image_shape=(3, 20, 28), class_names=("a", "b"), mean=(0.5,), std=(0.5,))
    network = build_network(config.model, data)
    shapes = [tuple(layer.weight.shape) for layer in network.layers if hasattr(layer, "weight")]
    assert shapes == [(4, 3, 3, 3), (6, 4, 3, 3), (9, 6 * 5 * 7), (2, 9)]
    assert network.logits(torch.zeros(2, 3, 20, 28, dtype=torch.uint8)).shape == (2, 2)
