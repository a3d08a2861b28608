"""The loss of each member, and its gradient, written out as the chain rule of `stacked.network` is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.config.schema import ModelConfig
from mnist_mlp.model import CLASSES


class StackedLoss:
    """`mnist_mlp.model.loss_of` of members that may differ in it; gradients are those of autograd to the bit."""

    def __init__(self, models: Sequence[ModelConfig], like: Tensor) -> None:
        """`like` has the type and the device of the logits."""

        def column(values: list[float]) -> Tensor:
            return like.new_tensor(values).view(-1, 1, 1)

        # Both forms of cross-entropy divide label smoothing by classes and images, but round in another order.
        by_mean = [model.loss == "nll" for model in models]
        smoothing = [model.label_smoothing for model in models]
        self.on_label = column([1 - share for share in smoothing])
        self.spread = column(
            [share if late else share / CLASSES for share, late in zip(smoothing, by_mean, strict=True)]
        )
        self.parts = column([CLASSES if late else 1 for late in by_mean])
        self.on_every = column([share / CLASSES for share in smoothing])
        self.squared = torch.tensor([model.loss == "mse" for model in models], device=like.device).view(-1, 1, 1)
        self.any_squared = any(model.loss == "mse" for model in models)

    def __call__(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Losses `(M,)` from logits `(M, B, 10)` and labels `(M, B)`, and their gradients by the logits `(M, B, 10)`.

        Cross-entropy is a weighted sum of the log-probabilities, and its gradient by them these weights.
        """
        images = labels.shape[1]
        log_probabilities = logits.log_softmax(dim=2)
        weights = (self.spread / (self.parts * images)).neg().expand_as(logits).contiguous()
        weights.scatter_add_(2, labels.unsqueeze(2), (self.on_label / images).neg().expand(-1, images, 1))
        losses = (weights * log_probabilities).sum(dim=(1, 2))
        gradients = torch._log_softmax_backward_data(weights, log_probabilities, 2, logits.dtype)
        if not self.any_squared:
            return losses, gradients
        target = F.one_hot(labels, CLASSES) * self.on_label + self.on_every
        probabilities = logits.softmax(dim=2)
        apart = probabilities - target
        by_probability = 2 / (images * CLASSES) * apart
        squared_gradients = torch._softmax_backward_data(by_probability, probabilities, 2, logits.dtype)
        squares = apart.square().mean(dim=(1, 2))
        return (
            torch.where(self.squared.flatten(), squares, losses),
            torch.where(self.squared, squared_gradients, gradients),
        )
