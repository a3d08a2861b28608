"""The losses of M members and their gradients by the logits, written out.

Members may differ in their loss. To add one: an entry in `WRITTEN`; a loss without one is trained by autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnist_mlp.config.schema import ModelConfig


@dataclass(frozen=True)
class WrittenLoss:
    losses: Callable[[Tensor, Tensor], Tensor]
    """logits and targets `(..., classes)` to the loss of each image `(...)`"""
    gradient: Callable[[Tensor, Tensor], Tensor]
    """the same to the gradient of each image's loss by its logits `(..., classes)`, in new memory"""


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * logits.log_softmax(-1)).sum(-1)


def _cross_entropy_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.softmax(-1).sub_(targets)


def _squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.softmax(-1) - targets).square().mean(-1)


def _squared_error_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    probabilities = logits.softmax(-1)
    by_probability = (probabilities - targets).mul_(2 / logits.shape[-1])
    return probabilities.mul_(by_probability - (probabilities * by_probability).sum(-1, keepdim=True))


WRITTEN: dict[str, WrittenLoss] = {
    "cross_entropy": WrittenLoss(_cross_entropy, _cross_entropy_gradient),
    "nll": WrittenLoss(_cross_entropy, _cross_entropy_gradient),  # of a log-softmax: the same function of the logits
    "mse": WrittenLoss(_squared_error, _squared_error_gradient),
}


class StackedLoss:
    """The loss of each member; those with the same one are computed at once."""

    def __init__(self, models: Sequence[ModelConfig], classes: int, like: Tensor) -> None:
        """`like` has the type and the device of the logits."""
        self.classes = classes
        smoothing = like.new_tensor([model.label_smoothing for model in models]).view(-1, 1, 1)
        self.off_label, self.on_label = smoothing / classes, 1 - smoothing
        names = [model.loss for model in models]
        self.parts = [
            (WRITTEN[name], [member for member, other in enumerate(names) if other == name])
            for name in dict.fromkeys(names)
        ]

    def targets(self, labels: Tensor) -> Tensor:
        """Labels `(M, n)` to target distributions `(M, n, classes)`: 1 - e on the label plus e / classes everywhere."""
        targets = self.off_label.expand(*labels.shape, self.classes).contiguous()
        return targets.scatter_add_(2, labels.unsqueeze(2), self.on_label.expand(-1, labels.shape[1], 1))

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Of each image, `(M, n)`, from logits and targets `(M, n, classes)`."""
        if len(self.parts) == 1:
            return self.parts[0][0].losses(logits, targets)
        losses = logits.new_empty(logits.shape[:-1])
        for loss, members in self.parts:
            losses[members] = loss.losses(logits[members], targets[members])
        return losses

    def gradient(self, logits: Tensor, targets: Tensor, images: int) -> Tensor:
        """Of the mean loss over `images` images by the logits, `(M, B, classes)`."""
        if len(self.parts) == 1:
            gradient = self.parts[0][0].gradient(logits, targets)
        else:
            gradient = torch.empty_like(logits)
            for loss, members in self.parts:
                gradient[members] = loss.gradient(logits[members], targets[members])
        return gradient.mul_(1 / images)
