"""Description of a trained network for the page, as JSON: its numbers, images to try, and examples to learn from.

The page computes fully connected layers and nothing else. So a network is taken only where each of its layers is known
here, and only where its own forward pass gives, on the official test images, what the page's numbers give.
"""

from __future__ import annotations

import base64
import itertools
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.config.errors import ExportError, UnsupportedError
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.extras.handwriting.mnist_format import IMAGE_SHAPE
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.model.networks import ACTIVATIONS

TOLERANCE = 1e-4  # largest difference of a probability that weights of three bytes instead of four may make
OF_EACH_CLASS, MISTAKES = 3, 30  # test images to try
TRAINING, TESTS = 8_000, 1_000  # examples to learn from in the page, and to test what was learned
LEVELS = 8  # of grey in those examples, so that the whole page stays below 2 MB
KNOWN = ("relu", "sigmoid", "tanh", "gelu", "silu", "leaky_relu", "elu")  # activations in activations.mjs


def describe(predictor: Predictor, dataset: Dataset) -> tuple[dict[str, Any], float]:
    """What network.mjs, samples.mjs and lesson.mjs read, and the largest difference of a probability.

    That is between the page and the network, over the test images.

    Raises:
        ExportError: the page cannot show the data, a layer or the activation, or would answer otherwise.
    """
    _require_shape(dataset)
    layers = linear_layers(predictor)
    images, labels = dataset.test_images, dataset.test_labels
    probabilities = predictor.log_probabilities(torch.from_numpy(images)).exp().numpy()
    wrong, samples = _samples(probabilities, labels)
    calibration, detector = predictor.calibration, predictor.ood_detector
    description = {
        "widths": [layers[0].in_features, *(layer.out_features for layer in layers)],
        "activation": predictor.config.model.activation,
        "mean": float(predictor.network.mean) / 255,
        "std": float(predictor.network.std) / 255,
        "temperature": calibration.temperature,
        "threshold": calibration.number_threshold,
        "numberMargin": calibration.number_margin,
        "highestFreeEnergy": calibration.free_energy,
        "classNames": list(predictor.class_names),
        "weights": _weights(layers),
        "oodDetector": None if detector is None else _weights([detector.first, detector.last]),
        "averageImage": _base64(images.mean(0).round().astype(np.uint8).tobytes()),
        "tested": len(labels),
        "mistakes": wrong,
        "samples": {"images": _base64(images[samples].tobytes()), "labels": labels[samples].tolist()},
        "lesson": _lesson(dataset),
    }
    difference = float(np.abs(page_probabilities(description, images) - probabilities).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"expected the page's layers to give the network's probabilities to {TOLERANCE:g}, got {difference:.1e}: "
            "its forward pass is more than these layers in turn"
        )
    return description, difference


def _require_shape(dataset: Dataset) -> None:
    if dataset.image_shape != IMAGE_SHAPE:
        raise UnsupportedError(
            f"expected grey images of 28 x 28, as the page draws, got {dataset.image_shape} (C, H, W)"
        )


def linear_layers(predictor: Predictor) -> list[nn.Linear]:
    """The layers with weights, of a network that has nothing but these, dropout and one activation between them.

    Raises:
        UnsupportedError: it has another layer or activation.
    """
    activation = predictor.config.model.activation
    if activation not in KNOWN:
        raise UnsupportedError(f"expected a network with one of {', '.join(KNOWN)}, got model.activation={activation}")
    layers = predictor.network.layers
    for name, layer in layers.named_children():
        if type(layer) not in (nn.Linear, nn.Dropout, ACTIVATIONS[activation]):
            raise UnsupportedError(
                f"expected fully connected layers with {activation} and dropout, which are all that the page computes, "
                f"got {type(layer).__name__} as layers.{name}"
            )
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def page_probabilities(description: dict[str, Any], images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What network.mjs makes of images `(N, 1, 28, 28)`, from the same JSON: `(N, classes)`."""
    values = torch.from_numpy(images).flatten(1).double().div(255).sub(description["mean"]).div(description["std"])
    layers = read_weights(description["weights"], description["widths"])
    for number, (weight, bias) in enumerate(layers):
        if number > 0:
            values = ACTIVATIONS[description["activation"]]()(values)
        values = F.linear(values, weight.double(), bias.double())
    probabilities: NDArray[np.float64] = (values / description["temperature"]).softmax(1).numpy()
    return probabilities


def _samples(probabilities: NDArray[np.float32], labels: NDArray[Any]) -> tuple[int, NDArray[np.int64]]:
    """The number of mistakes; positions of images to try, some right of each class and the surest of the mistakes."""
    answers = probabilities.argmax(1)
    wrong = np.flatnonzero(answers != labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:MISTAKES]
    right = [np.flatnonzero((labels == label) & (answers == label))[:OF_EACH_CLASS] for label in np.unique(labels)]
    return len(wrong), np.concatenate([*right, surest])


def _lesson(dataset: Dataset) -> dict[str, Any]:
    """Examples evenly from all of the data: the first ones are for training, the others from the official test set."""
    training = _evenly(len(dataset.train_labels), TRAINING)
    tests = _evenly(len(dataset.test_labels), TESTS)
    images = np.concatenate([dataset.train_images[training], dataset.test_images[tests]])
    levels = (images.astype(np.uint16) * (LEVELS - 1) + 127) // 255
    return {
        "images": _base64(zlib.compress(levels.astype(np.uint8).tobytes(), 9)),
        "labels": [*dataset.train_labels[training].tolist(), *dataset.test_labels[tests].tolist()],
        "training": len(training),
        "levels": LEVELS,
    }


def _evenly(number: int, most: int) -> NDArray[np.int64]:
    return np.arange(min(number, most)) * number // min(number, most)


def _weights(layers: Sequence[nn.Linear]) -> str:
    return _base64(b"".join(_upper_bytes(part) for layer in layers for part in (layer.weight, layer.bias)))


def _upper_bytes(values: Tensor) -> bytes:
    """Float32 rounded to its upper three bytes, lowest first. This causes no visible error; float16 would."""
    rounded = (values.detach().contiguous().view(torch.int32) + 0x80) & ~0xFF
    words: NDArray[np.uint8] = rounded.numpy().astype("<i4").view(np.uint8).reshape(-1, 4)
    return words[:, 1:].tobytes()


def read_weights(weights: str, widths: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """The weights `(outputs, inputs)` and biases `(outputs,)` of all layers, as the page unpacks them."""
    upper = np.frombuffer(base64.b64decode(weights), np.uint8).reshape(-1, 3)
    words = np.concatenate([np.zeros((len(upper), 1), np.uint8), upper], axis=1)
    numbers = torch.from_numpy(words.view("<f4").ravel().astype(np.float32))
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        weight, bias, numbers = numbers.split([inputs * outputs, outputs, len(numbers) - (inputs + 1) * outputs])
        layers.append((weight.reshape(outputs, inputs), bias))
    return layers


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
