"""Losses of M members and their gradients with respect to the logits, as formulas.

Members may have different losses. To add one: an entry in `HAND_WRITTEN`. A loss without an entry is trained by
autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnist_mlp.config.schema import ModelConfig


@dataclass(frozen=True)
class HandWrittenLoss:
    losses: Callable[[Tensor, Tensor], Tensor]
    """from logits and targets `(..., classes)` to the loss of each image `(...)`"""
    gradient: Callable[[Tensor, Tensor], Tensor]
    """from the same to the gradient of each loss with respect to its logits, `(..., classes)`; the caller may change it
    in place"""


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * logits.log_softmax(-1)).sum(-1)


def _softmax(logits: Tensor) -> Tensor:
    """Softmax over the classes; on the CPU transposed, so that vector registers hold images, not the few classes."""
    return logits.mT.contiguous().softmax(-2).mT if logits.is_cpu else logits.softmax(-1)


def _cross_entropy_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    return _softmax(logits).sub_(targets)


def _squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.softmax(-1) - targets).square().mean(-1)


def _squared_error_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    probabilities = _softmax(logits)
    by_probability = (probabilities - targets).mul_(2 / logits.shape[-1])
    return probabilities.mul_(by_probability - (probabilities * by_probability).sum(-1, keepdim=True))


HAND_WRITTEN: dict[str, HandWrittenLoss] = {
    "cross_entropy": HandWrittenLoss(_cross_entropy, _cross_entropy_gradient),
    "nll": HandWrittenLoss(
        _cross_entropy, _cross_entropy_gradient
    ),  # of a log-softmax: the same function of the logits
    "mse": HandWrittenLoss(_squared_error, _squared_error_gradient),
}


class StackedLoss:
    """The loss of each member. Every loss in use is computed for all members, then each member's own is selected."""

    def __init__(self, models: Sequence[ModelConfig], classes: int, like: Tensor) -> None:
        """`like` has the dtype and the device of the logits."""
        self.classes = classes
        smoothing = like.new_tensor([model.label_smoothing for model in models]).view(-1, 1, 1)
        self.off_label, self.on_label = smoothing / classes, 1 - smoothing
        own = [HAND_WRITTEN[model.loss] for model in models]
        self.first, *others = dict.fromkeys(own)
        # Masks `(M, 1)` of the members with this loss. Not lists of indices: a captured graph cannot copy from the CPU.
        self.others = [
            (loss, torch.tensor([loss == its for its in own], device=like.device).unsqueeze(1)) for loss in others
        ]

    def targets(self, labels: Tensor) -> Tensor:
        """From labels `(M, n)` to targets `(M, n, classes)`: 1 - e for the label plus e / classes for every class.

        e is `model.label_smoothing`.
        """
        # A comparison, not a scatter, which deterministic mode on a GPU makes slow: it sorts the labels.
        is_label = labels.unsqueeze(2) == torch.arange(self.classes, device=labels.device)
        return torch.where(is_label, self.off_label + self.on_label, self.off_label)

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Loss of each image, `(M, n)`, from logits and targets `(M, n, classes)`."""
        losses = self.first.losses(logits, targets)
        for loss, mask in self.others:
            losses = torch.where(mask, loss.losses(logits, targets), losses)
        return losses

    def gradient(self, logits: Tensor, targets: Tensor, images: int) -> Tensor:
        """Gradient of (the sum of the losses / `images`) with respect to the logits, `(M, B, classes)`."""
        gradient = self.first.gradient(logits, targets)
        for loss, mask in self.others:
            gradient = torch.where(mask.unsqueeze(2), loss.gradient(logits, targets), gradient)
        return gradient.mul_(1 / images)
