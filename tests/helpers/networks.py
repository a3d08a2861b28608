"""Networks for images of 28 x 28 grey levels and ten classes, without a configuration."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_mlp.config.schema import MLPConfig
from mnist_mlp.model.networks import MLP, DataSpec


def data_spec(mean: float = 0.0, std: float = 1.0) -> DataSpec:
    return DataSpec(image_shape=(1, 28, 28), class_names=tuple("0123456789"), mean=(mean,), std=(std,))


def model_config(
    hidden: Sequence[int] = (),
    activation: str = "relu",
    dropout: float = 0.0,
    loss: str = "cross_entropy",
    **other: float,
) -> MLPConfig:
    label_smoothing = other.get("label_smoothing", 0.0)
    return MLPConfig(
        name="mlp",
        hidden=list(hidden),
        activation=activation,
        dropout=dropout,
        loss=loss,
        label_smoothing=label_smoothing,
    )


def mlp(
    hidden: Sequence[int] = (),
    activation: str = "relu",
    dropout: float = 0.0,
    loss: str = "cross_entropy",
    mean: float = 0.0,
    std: float = 1.0,
) -> MLP:
    return MLP(model_config(hidden, activation, dropout, loss), data_spec(mean, std))
