"""Losses by name, each with the head that turns logits into the output that it takes.

To add one: a function here, its entry in `LOSSES`, and its name in `config/schema.py`. A function takes the section
`model` of the configuration, so a key of the loss's own is one more line in `ModelConfig`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.config.schema import ModelConfig
from mnist_mlp.config.tables import entry


def cross_entropy(output: Tensor, labels: Tensor, model: ModelConfig) -> Tensor:
    """Mean cross-entropy of logits `(B, classes)`, a scalar."""
    return F.cross_entropy(output, labels, label_smoothing=model.label_smoothing)


def nll(output: Tensor, labels: Tensor, model: ModelConfig) -> Tensor:
    """Mean negative log-likelihood of log-probabilities `(B, classes)`, a scalar."""
    smoothing = model.label_smoothing
    return (1 - smoothing) * F.nll_loss(output, labels) - smoothing * output.mean()


def mse(output: Tensor, labels: Tensor, model: ModelConfig) -> Tensor:
    """Mean squared error of probabilities `(B, classes)` against the target distribution, a scalar."""
    classes, smoothing = output.shape[1], model.label_smoothing
    target = F.one_hot(labels, classes).to(output.dtype) * (1 - smoothing) + smoothing / classes
    return F.mse_loss(output, target)


@dataclass(frozen=True)
class Loss:
    function: Callable[[Tensor, Tensor, ModelConfig], Tensor]
    """from output `(B, classes)`, labels `(B,)` int64 and the section `model` to the mean loss, a scalar"""
    head: Callable[[Tensor], Tensor]
    """from logits `(B, classes)` to the output that `function` takes"""


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(cross_entropy, head=lambda logits: logits),
    "nll": Loss(nll, head=lambda logits: torch.log_softmax(logits, dim=1)),
    "mse": Loss(mse, head=lambda logits: torch.softmax(logits, dim=1)),
}


def build_loss(config: ModelConfig, *, training: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss `model.loss` as a function of the network's output `(B, classes)` and the labels `(B,)`.

    In training the target has 1 - e for the label plus e / classes for every class, where e is `model.label_smoothing`
    (Szegedy et al. 2016, sec. 7). In validation and test e is 0, so that the losses of different runs are comparable.
    """
    function = entry(LOSSES, config.loss, "model.loss", "LOSSES of model/losses.py").function
    model = config if training else replace(config, label_smoothing=0.0)
    return partial(function, model=model)  # type: ignore[call-arg]  # not a lambda, which cannot be pickled
