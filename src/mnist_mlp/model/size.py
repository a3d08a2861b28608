"""Size of a network, computed from its configuration without importing torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from mnist_mlp.config.schema import CNNConfig, MLPConfig, ModelConfig


def shape(config: ModelConfig, image_shape: Sequence[int], classes: int) -> str:
    """Shape as text: `784-128-64-10` for a perceptron, `28x28x1, 16, 32, 128-10` with convolutions, else the name."""
    if isinstance(config, MLPConfig):
        return "-".join(map(str, _widths(config, prod(image_shape), classes)))
    if isinstance(config, CNNConfig):
        channels, height, width = image_shape
        blocks = [f"{height}x{width}x{channels}", *map(str, config.channels)]
        return ", ".join([*blocks, "-".join(map(str, [*config.hidden, classes]))])
    return config.name


def parameters(config: ModelConfig, image_shape: Sequence[int], classes: int) -> int | None:
    """Number of weights and biases; None for a network of your own, even if it uses `MLPConfig` or `CNNConfig`."""
    if config.name == "mlp" and isinstance(config, MLPConfig):
        return _fully_connected_parameters(_widths(config, prod(image_shape), classes))
    if config.name == "cnn" and isinstance(config, CNNConfig):
        channels, height, width = image_shape
        blocks = [channels, *config.channels]
        features = blocks[-1] * prod(side >> len(config.channels) for side in (height, width))
        convolutions = sum((9 * inputs + 1) * outputs for inputs, outputs in pairwise(blocks))  # kernels of 3 x 3
        return convolutions + _fully_connected_parameters(_widths(config, features, classes))
    return None


def _widths(config: MLPConfig | CNNConfig, features: int, classes: int) -> list[int]:
    return [features, *config.hidden, classes]


def _fully_connected_parameters(widths: Sequence[int]) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))
