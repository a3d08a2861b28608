"""TensorBoard beyond scalars: weights, gradients, activations, confusion matrix, worst mistakes.

Nothing here changes a bit of the run. What is looked at is a copy of the network in evaluation mode, which draws no
random numbers, and its gradients come from a backward pass of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from mnist_mlp.config.schema import Config
from mnist_mlp.extras.evaluation.confusion_picture import confusion_picture
from mnist_mlp.extras.evaluation.metrics import confusion
from mnist_mlp.extras.evaluation.mistakes_picture import Images, as_seen, worst_mistakes_picture
from mnist_mlp.extras.inference.predictions import Predictions
from mnist_mlp.extras.tensorboard import crc32c, projector
from mnist_mlp.extras.tensorboard import summaries as events
from mnist_mlp.extras.tensorboard.first_layer import first_layer_picture
from mnist_mlp.extras.tensorboard.probe import can_be_copied, features, layers_of, logits_of, probe, sees_pixels
from mnist_mlp.module import DigitClassifier

log = logging.getLogger(__name__)

PROBED = 256  # training images whose activations and gradients are shown, always the same ones
MISTAKES = 16
THRESHOLDS = 64  # points of a precision-recall curve
CURVES = 20  # classes with a precision-recall curve, the first ones
EMBEDDED = 400  # validation images in the projector


class Dashboard(L.Callback):
    def __init__(self, config: Config, class_names: Sequence[str], epochs: int) -> None:
        crc32c.take_over()
        self.config, self.epochs = config, epochs
        self.names = [name.replace("/", " or ") for name in class_names]  # a slash would group them in TensorBoard

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, DigitClassifier)
        network = pl_module.network
        logger, writer = _logger(trainer), _writer(trainer, network)
        if logger is not None and trainer.is_global_zero and writer is None:
            log.warning("TensorBoard gets no pictures of this network, as Python cannot copy it")
        if logger is None or writer is None or trainer.global_step > 0:  # a resumed run has shown this
            return
        events.text(writer, self.config)
        events.hyperparameters(writer, self.config, events.row_name(Path(str(logger.save_dir))))
        events.layout(writer)
        events.graph(writer, network, _part(trainer, "train")[0][:1])
        self._log_weights_and_gradients(writer, trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, DigitClassifier)
        if trainer.current_epoch not in snapshot_epochs(self.config.dashboard.snapshots, self.epochs):
            return
        if (writer := _writer(trainer, pl_module.network)) is None:
            return
        images, labels = _part(trainer, "val")
        logits = logits_of(pl_module.evaluated_network, images)
        if not bool(logits.isfinite().all()):  # training has diverged, and ends when it saves its next checkpoint
            return
        self._log_weights_and_gradients(writer, trainer, pl_module)
        if len(images) > 0:
            self._log_predictions(writer, trainer.global_step, images, predictions(logits, labels))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, DigitClassifier)
        writer = _writer(trainer, pl_module.network)
        images, labels = (tensor[:EMBEDDED] for tensor in _part(trainer, "val"))
        if writer is not None and len(layers_of(pl_module.evaluated_network)) > 1 and len(images):
            names = [self.names[label] for label in labels.tolist()]
            points = _array(features(pl_module.evaluated_network, images))
            place = Path(writer.log_dir)
            projector.write(place, "last_hidden_layer", trainer.global_step, points, names, self._seen(images))

    def _log_weights_and_gradients(self, writer: SummaryWriter, trainer: L.Trainer, module: DigitClassifier) -> None:
        network, step = module.network, trainer.global_step
        images, labels = (tensor[:PROBED] for tensor in _part(trainer, "train"))
        found = probe(network, module.evaluation_loss, images, labels)
        layers = layers_of(network)
        if layers and sees_pixels(layers[0], images[0].numel()):
            picture = first_layer_picture(_array(layers[0].weight).reshape(-1, *images.shape[1:]))
            events.picture(writer, "pictures/first_layer", picture, step)
        for number, (layer, gradient) in enumerate(zip(layers, found.gradients, strict=True), start=1):
            events.histogram(writer, f"network/weights/layer{number}", layer.weight, step)
            if gradient is not None:
                events.histogram(writer, f"network/gradients/layer{number}", gradient, step)
                writer.add_scalar(f"network/gradient_norm/layer{number}", float(gradient.norm()), step)
        for number, activation in enumerate(found.activations, start=1):
            events.histogram(writer, f"network/activations/layer{number}", activation, step)

    def _log_predictions(self, writer: SummaryWriter, step: int, images: Tensor, predicted: Predictions) -> None:
        events.precision_recall(writer, self.names[:CURVES], predicted, THRESHOLDS, step)
        events.picture(writer, "pictures/confusion", confusion_picture(confusion(predicted), self.names), step)
        if (mistakes := worst_mistakes_picture(self._seen(images), predicted, self.names, MISTAKES)) is not None:
            events.picture(writer, "pictures/worst_mistakes", mistakes, step)

    def _seen(self, images: Tensor) -> Images:
        return as_seen(_array(images), self.config.data)


def snapshot_epochs(snapshots: int, epochs: int) -> set[int]:
    """The epochs at whose end a snapshot is taken: as evenly as can be, the last one among them."""
    return {max(1, round(number * epochs / snapshots)) - 1 for number in range(1, snapshots + 1)}


def predictions(logits: Tensor, labels: Tensor) -> Predictions:
    """Of logits `(N, C)` for images with labels `(N,)`."""
    log_probabilities = _array(logits.float().log_softmax(dim=1)).astype(np.float64)
    return Predictions(log_probabilities=log_probabilities, labels=_array(labels))


def _array(values: Tensor) -> NDArray[Any]:
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()


def _part(trainer: L.Trainer, name: str) -> tuple[Tensor, Tensor]:
    """Images `(N, C, H, W)` and labels `(N,)` of a part of the data, on the device that trains."""
    images, labels = trainer.datamodule.parts[name]  # type: ignore[attr-defined]
    device = trainer.strategy.root_device
    return images.to(device), labels.to(device)


def _logger(trainer: L.Trainer) -> TensorBoardLogger | None:
    return next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)


def _writer(trainer: L.Trainer, network: nn.Module) -> SummaryWriter | None:
    """TensorBoard's, on the one process that logs; None where nothing is logged to TensorBoard, or where the network
    cannot be copied to look into it.
    """
    logger = _logger(trainer) if trainer.is_global_zero else None
    writer: SummaryWriter | None = logger.experiment if logger and can_be_copied(network) else None
    return writer
