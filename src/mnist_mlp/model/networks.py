"""Networks by name: a multilayer perceptron and a small convolutional network, from images to logits.

To add one: a subclass of `Network` here, its entry in `NETWORKS`, and its keys in `config/schema.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2, prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import CNNConfig, MLPConfig, ModelConfig
from mnist_mlp.config.tables import entry
from mnist_mlp.model.losses import LOSSES

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
}


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Properties of the data that a network depends on: image shape, classes, normalisation."""

    image_shape: tuple[int, int, int]
    """`(C, H, W)`"""
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    """of each channel, or one for all; grey levels in [0, 1]"""
    std: tuple[float, ...]
    """of each channel, or one for all; grey levels in [0, 1]"""


class Network(nn.Module):
    """Normalisation of images, layers that compute logits, and the head that the loss expects.

    The head is for the loss only: logits for `cross_entropy`, log-probabilities for `nll`, probabilities for `mse`.
    All other code calls `logits` or `log_probabilities`, so no softmax is ever applied twice.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, *, input_shape: Sequence[int], loss: str, data: DataSpec) -> None:
        """`input_shape` is the shape of one image as the first layer expects it: `(pixels,)` or `(C, H, W)`."""
        super().__init__()
        self.loss, self.image_shape, self.input_shape = loss, tuple(data.image_shape), tuple(input_shape)
        self.register_buffer("mean", _to_image_units(data.mean))
        self.register_buffer("std", _to_image_units(data.std))
        self.layers = layers

    def normalise(self, images: Tensor) -> Tensor:
        """Grey levels 0..255, `(B, C, H, W)` or flat, to normalised inputs of the first layer `(B, *input_shape)`."""
        # In place on one new tensor: a second large tensor would be allocated and paged in at every call.
        return self.normalise_(images.reshape(-1, *self.input_shape).to(self.mean.dtype, copy=True))

    def normalise_(self, grey: Tensor) -> Tensor:
        """Normalise grey levels 0..255 in place, `(..., *input_shape)` in the dtype of the weights; returns them."""
        grey.view(-1, *self.image_shape).sub_(self.mean).div_(self.std)
        return grey

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` uint8 to the head's output `(B, classes)`."""
        return self.head(self.logits(images))

    def logits(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` uint8 to the output of the last layer `(B, classes)`, without the head."""
        logits: Tensor = self.layers(self.normalise(images))
        # Under bf16-mixed the layers give bfloat16, too coarse for a loss.
        return logits.float() if logits.dtype == torch.bfloat16 else logits

    def head(self, logits: Tensor) -> Tensor:
        return LOSSES[self.loss].head(logits)

    def log_probabilities(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` uint8 to the logarithms of the class probabilities `(B, classes)`."""
        # From the logits, not from the head: the logarithm of a softmax can be -inf.
        return F.log_softmax(self.logits(images), dim=1)


class MLP(Network):
    """Fully connected layers, with an activation and dropout after each hidden layer.

    Initialisation is that of `nn.Linear`: weights and biases uniform in ±1/sqrt(inputs of the layer).
    """

    def __init__(self, config: MLPConfig, data: DataSpec) -> None:
        pixels = prod(data.image_shape)
        layers = _fully_connected([pixels, *config.hidden, len(data.class_names)], config)
        super().__init__(layers, input_shape=[pixels], loss=config.loss, data=data)


class CNN(Network):
    """Blocks of convolution, activation and pooling, each halving height and width; then fully connected layers."""

    def __init__(self, config: CNNConfig, data: DataSpec) -> None:
        channels, height, width = data.image_shape
        if min(height, width) >> len(config.channels) == 0:
            raise ConfigError(
                f"model.channels: expected at most {int(log2(min(height, width)))} convolutions, each of which halves "
                f"the {height} x {width} pixels, got {len(config.channels)}"
            )
        layers = nn.Sequential()
        for next_channels in config.channels:
            layers.append(nn.Conv2d(channels, next_channels, kernel_size=3, padding=1))
            layers.append(_activation(config))
            layers.append(nn.MaxPool2d(2))
            channels, height, width = next_channels, height // 2, width // 2
        layers.append(nn.Flatten())
        features = channels * height * width
        layers.extend(_fully_connected([features, *config.hidden, len(data.class_names)], config))
        super().__init__(layers, input_shape=data.image_shape, loss=config.loss, data=data)


def _fully_connected(widths: Sequence[int], config: MLPConfig | CNNConfig) -> nn.Sequential:
    """Linear layers of these widths, the inputs' and the outputs' included; between them activation and dropout."""
    layers = nn.Sequential()
    for width, next_width in pairwise(widths[:-1]):
        layers.extend([nn.Linear(width, next_width), _activation(config)])
        if config.dropout > 0:
            layers.append(nn.Dropout(config.dropout))
    layers.append(nn.Linear(widths[-2], widths[-1]))
    return layers


def _activation(config: MLPConfig | CNNConfig) -> nn.Module:
    return entry(ACTIVATIONS, config.activation, "model.activation", "ACTIVATIONS of model/networks.py")()


def _to_image_units(values: Sequence[float]) -> Tensor:
    """Mean or std, given for grey levels in [0, 1], scaled to those of the images, 0..255.

    A scalar if all channels have the same, else `(C, 1, 1)`.
    """
    levels = 255.0 * torch.tensor(values)
    return levels[0] if len(set(values)) == 1 else levels.view(-1, 1, 1)


NETWORKS: dict[str, Callable[..., Network]] = {"mlp": MLP, "cnn": CNN}


def build_network(config: ModelConfig, data: DataSpec) -> Network:
    """The network `model.name`, with initial weights drawn from torch's global generator."""
    return entry(NETWORKS, config.name, "model.name", "NETWORKS of model/networks.py")(config, data)
