"""Shows TensorBoard what scalars do not: what the network looks for, how errors flow back, and what it gets wrong.

Nothing here changes a bit of the run. What is looked at is a copy of the network in evaluation mode, which draws no
random numbers; its gradients come from a backward pass of their own; and only what validation has just heard is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from mnist_mlp.config.schema import Config
from mnist_mlp.data.loader import in_batches
from mnist_mlp.extras.evaluation.metrics import confusion
from mnist_mlp.extras.inference.predictions import Predictions
from mnist_mlp.extras.tensorboard import images as pictures
from mnist_mlp.extras.tensorboard import projector
from mnist_mlp.extras.tensorboard import summaries as events
from mnist_mlp.model import MLP, loss_of
from mnist_mlp.module import DigitClassifier

PROBED = 256  # training images whose activations and gradients are shown, always the same ones
MISTAKES = 16
THRESHOLDS = 64  # points of a precision-recall curve
EMBEDDED = 400  # validation images in the projector


class Dashboard(L.Callback):
    def __init__(self, config: Config, class_names: Sequence[str], epochs: int) -> None:
        self.config, self.epochs = config, epochs
        self.names = [name.replace("/", " or ") for name in class_names]  # a slash would group them in TensorBoard
        self._logits: list[Tensor] = []  # of the validation since the last training step

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        writer = _writer(trainer)
        if writer is None or trainer.global_step > 0:  # a run that goes on has shown this
            return
        assert isinstance(pl_module, DigitClassifier)
        network = pl_module.network
        events.text(writer, self.config)
        events.hyperparameters(writer, self.config)
        events.layout(writer, len(_linear(network)))
        events.graph(writer, network)
        self._show_learning(writer, trainer, network)

    def on_train_batch_start(self, *_: Any) -> None:
        self._logits = []

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self._logits.append(outputs)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        writer = _writer(trainer)
        if writer is None or trainer.current_epoch not in moments(self.config.dashboard.snapshots, self.epochs):
            return
        assert isinstance(pl_module, DigitClassifier)
        self._show_learning(writer, trainer, pl_module.network)
        images, labels = _part(trainer, "val")
        if len(images) == 0:
            return
        if sum(map(len, self._logits)) == len(images):
            said = answers(torch.cat(self._logits), labels)
        else:  # validation saw a part of them, or comes in other epochs
            said = answers(logits_of(pl_module.in_use, images), labels)
        self._show_answers(writer, trainer.global_step, images, said)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        writer = _writer(trainer)
        assert isinstance(pl_module, DigitClassifier)
        images, labels = (tensor[:EMBEDDED] for tensor in _part(trainer, "val"))
        if writer is not None and self.config.model.hidden and len(images):
            names = [self.names[label] for label in labels.tolist()]
            features = _array(last_hidden(pl_module.in_use, images))
            projector.write(
                Path(writer.log_dir), "last_hidden_layer", trainer.global_step, features, names, _array(images)
            )

    def _show_learning(self, writer: SummaryWriter, trainer: L.Trainer, network: MLP) -> None:
        step = trainer.global_step
        images, labels = (tensor[:PROBED] for tensor in _part(trainer, "train"))
        activations, gradients = probe(network, self.config.model.loss, images, labels)
        layers = _linear(network)
        events.picture(writer, "pictures/first_layer", pictures.weights(_array(layers[0].weight)), step)
        for number, (layer, gradient) in enumerate(zip(layers, gradients, strict=True), start=1):
            events.histogram(writer, f"weights/layer{number}", layer.weight, step)
            events.histogram(writer, f"gradients/layer{number}", gradient, step)
            writer.add_scalar(f"gradient_norm/layer{number}", float(gradient.norm()), step)
        for number, activation in enumerate(activations, start=1):
            events.histogram(writer, f"activations/layer{number}", activation, step)

    def _show_answers(self, writer: SummaryWriter, step: int, images: Tensor, said: Predictions) -> None:
        events.precision_recall(writer, self.names, said, THRESHOLDS, step)
        events.picture(writer, "pictures/confusion", pictures.confusion(confusion(said), self.names), step)
        wrong = np.flatnonzero(~said.correct)
        worst = wrong[np.argsort(said.log_probabilities[wrong, said.labels[wrong]], kind="stable")][:MISTAKES]
        if len(worst):
            drawn = pictures.mistakes(
                _array(images)[worst],
                [self.names[truth] for truth in said.labels[worst]],
                [self.names[guess] for guess in said.guesses[worst]],
                said.confidences[worst].tolist(),
            )
            events.picture(writer, "pictures/worst_mistakes", drawn, step)


def moments(snapshots: int, epochs: int) -> set[int]:
    """The epochs at whose end a snapshot is taken: as evenly as can be, the last one among them."""
    return {max(1, round(number * epochs / snapshots)) - 1 for number in range(1, snapshots + 1)}


def probe(network: MLP, loss: str, images: Tensor, labels: Tensor) -> tuple[list[Tensor], Sequence[Tensor]]:
    """What each hidden layer gives out on these images, and the gradient of the loss by each layer's weights."""
    copy = deepcopy(network).eval()
    activations: list[Tensor] = []
    for layer in copy.layers:
        if not isinstance(layer, nn.Linear | nn.Dropout):
            layer.register_forward_hook(lambda _layer, _inputs, output: activations.append(output.detach()))
    with torch.enable_grad():
        value = loss_of(loss, copy(images), labels)
        return activations, torch.autograd.grad(value, [layer.weight for layer in _linear(copy)])


@torch.no_grad()
def logits_of(network: MLP, images: Tensor) -> Tensor:
    """What the network says about images `(N, 784)`: `(N, 10)`."""
    return in_batches(deepcopy(network).eval().logits, images)


def answers(logits: Tensor, labels: Tensor) -> Predictions:
    """Of logits `(N, 10)` for images with labels `(N,)`."""
    log_probabilities = _array(logits.float().log_softmax(dim=1)).astype(np.float64)
    return Predictions(log_probabilities=log_probabilities, labels=_array(labels))


@torch.no_grad()
def last_hidden(network: MLP, images: Tensor) -> Tensor:
    """What the output layer sees of these images: `(N, width)`."""
    copy = deepcopy(network).eval()
    features: Tensor = copy.layers[:-1](copy.normalise(images))
    return features.float()


def _linear(network: MLP) -> list[nn.Linear]:
    return [layer for layer in network.layers if isinstance(layer, nn.Linear)]


def _array(values: Tensor) -> NDArray[Any]:
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()


def _part(trainer: L.Trainer, name: str) -> tuple[Tensor, Tensor]:
    """Images `(N, 784)` and labels `(N,)` of a part of the data, on the device that trains."""
    images, labels = trainer.datamodule.parts[name]  # type: ignore[attr-defined]
    device = trainer.strategy.root_device
    return images.to(device), labels.to(device)


def _writer(trainer: L.Trainer) -> SummaryWriter | None:
    """TensorBoard's, on the one process that logs; None where nothing is logged to TensorBoard."""
    for logger in trainer.loggers if trainer.is_global_zero else []:
        if isinstance(logger, TensorBoardLogger):
            writer: SummaryWriter = logger.experiment
            return writer
    return None
