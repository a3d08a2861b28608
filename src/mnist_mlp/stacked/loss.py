"""The loss of each member, and its gradient, written out as the chain rule of `stacked.network` is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mnist_mlp.config import ModelConfig
from mnist_mlp.model import CLASSES


class StackedLoss:
    """`mnist_mlp.model.loss_of` of members that may differ in it."""

    def __init__(self, models: Sequence[ModelConfig], like: Tensor) -> None:
        """`like` has the type and the device of the logits."""
        self.smoothing = like.new_tensor([model.label_smoothing for model in models]).view(-1, 1, 1)
        self.squared = torch.tensor([model.loss == "mse" for model in models], device=like.device)
        self.any_squared = any(model.loss == "mse" for model in models)
        self.one_hot = torch.eye(CLASSES, dtype=like.dtype, device=like.device)

    def __call__(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Losses `(M,)` from logits `(M, B, 10)` and labels `(M, B)`, and their gradients by the logits `(M, B, 10)`.

        With p the softmax of the logits and t the smoothed target: of cross-entropy and NLL, -mean(t . log p), the
        gradient is (p - t) / B; of the mean squared error of p it is p * (g - p . g), with g = 2 (p - t) / (10 B).
        """
        target = self.one_hot.index_select(0, labels.flatten()).view_as(logits)
        target.mul_(1 - self.smoothing).add_(self.smoothing / CLASSES)
        log_probabilities = logits.log_softmax(dim=2)
        probabilities = log_probabilities.exp()
        images = labels.shape[1]
        losses = (target * log_probabilities).sum(dim=(1, 2)).div_(-images)
        gradients = (probabilities - target).div_(images)
        if not self.any_squared:
            return losses, gradients
        squares = (probabilities - target).square().mean(dim=(1, 2))
        by_probability = gradients * (2 / CLASSES)
        by_logit = probabilities * (by_probability - (probabilities * by_probability).sum(dim=2, keepdim=True))
        return torch.where(self.squared, squares, losses), torch.where(self.squared.view(-1, 1, 1), by_logit, gradients)
