"""The multilayer perceptron and its losses, in plain torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.config.schema import Config

PIXELS = 28 * 28
CLASSES = 10

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
}


class MLP(nn.Module):
    """Fully connected layers from 784 pixels to 10 classes.

    Weights and biases start uniform in ±1/sqrt(inputs of the layer), which is `nn.Linear`'s own initialisation.

    The loss decides what the network gives out, its *head*: logits for `cross_entropy`, log-probabilities
    (log-softmax) for `nll`, probabilities (softmax) for `mse`. The head serves the loss alone: what reads the network's
    answer asks for `logits` or `log_probabilities`, so no softmax is ever applied twice.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        hidden: Sequence[int],
        activation: str = "relu",
        dropout: float = 0.0,
        loss: str = "cross_entropy",
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        super().__init__()
        self.loss = loss
        # Grey levels come as 0..255, mean and std are given in [0, 1].
        self.register_buffer("mean", torch.tensor(255.0 * mean))
        self.register_buffer("std", torch.tensor(255.0 * std))
        layers: list[nn.Module] = []
        width = PIXELS
        for next_width in hidden:
            layers += [nn.Linear(width, next_width), _ACTIVATIONS[activation]()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            width = next_width
        self.layers = nn.Sequential(*layers, nn.Linear(width, CLASSES))

    @classmethod
    def of(cls, config: Config) -> MLP:
        """The network of a run with this configuration, its weights drawn anew from torch's generator."""
        model, data = config.model, config.data
        return cls(
            hidden=model.hidden,
            activation=model.activation,
            dropout=model.dropout,
            loss=model.loss,
            mean=data.mean,
            std=data.std,
        )

    @property
    def draws_noise(self) -> bool:
        """Whether a training step draws random numbers."""
        return any(isinstance(layer, nn.Dropout) for layer in self.layers)

    def normalise(self, images: Tensor) -> Tensor:
        """Grey levels 0..255, `(B, 28, 28)` or `(B, 784)` uint8, to what the first layer takes: `(B, 784)`."""
        # One new tensor, changed in place: with a second one the memory goes back and is paged in anew at every call.
        return self.normalise_(images.flatten(1).to(self.mean.dtype, copy=True))

    def normalise_(self, grey: Tensor) -> Tensor:
        """The same in place, of grey levels `(..., 784)` in the weights' type."""
        return grey.sub_(self.mean).div_(self.std)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, 28, 28)` or `(B, 784)` uint8 to the head's output `(B, 10)`."""
        return self.head(self.logits(images))

    def logits(self, images: Tensor) -> Tensor:
        """Images as for `forward` to what the last layer gives out, `(B, 10)`, whatever the head."""
        logits: Tensor = self.layers(self.normalise(images))
        return logits

    def head(self, logits: Tensor) -> Tensor:
        if self.loss == "nll":
            return F.log_softmax(logits, dim=1)
        if self.loss == "mse":
            return F.softmax(logits, dim=1)
        return logits

    def log_probabilities(self, images: Tensor) -> Tensor:
        """Images as for `forward` to the logarithms of the class probabilities `(B, 10)`."""
        # Whatever the head makes of the logits, these are their log-softmax; the logarithm of a softmax could be -inf.
        return F.log_softmax(self.logits(images), dim=1)


def loss_of(loss: str, output: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean loss of a batch: a scalar.

    With label smoothing e the target is (1 - e) on the label plus e / 10 on every class (Szegedy et al. 2016, sec. 7).

    Args:
        output: `(B, 10)` from `MLP.forward` of a network built for the same loss.
        labels: `(B,)` int64.
    """
    if loss == "cross_entropy":
        return F.cross_entropy(output, labels, label_smoothing=label_smoothing)
    if loss == "nll":
        return (1 - label_smoothing) * F.nll_loss(output, labels) - label_smoothing * output.mean()
    target = F.one_hot(labels, CLASSES).to(output.dtype) * (1 - label_smoothing) + label_smoothing / CLASSES
    return F.mse_loss(output, target)
