"""A trained network as one HTML file that needs nothing else: no server, no network, no other file.

The page's parts lie beside this file. The modules of `handwriting` are written again in the .mjs files of the same
names, function by function; the tests hold both to the same answers.
"""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnist_mlp.config.commands import TrainedConfig
from mnist_mlp.config.errors import ExportError
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.sources import load, moved
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.runs import checkpoint_file as files

PARTS = Path(__file__).parent
MODULES = (  # each after what it imports
    *("resampling", "picture", "ink", "pieces", "writing", "form", "digits"),
    *("activations", "layers", "network", "pad", "charts", "main"),
)
TOLERANCE = 1e-4  # largest difference of a probability that the page's shorter weights may make
OF_EACH_CLASS, MISTAKES = 3, 30  # test images to try


def demo(config: TrainedConfig, directory: Path) -> str:
    """Write the page to `directory`; returns where it lies and how well it agrees.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        DataError: the test images cannot be had.
        ExportError: the page would answer otherwise than the network.
    """
    predictor = Predictor.load(files.chosen(config.checkpoint)[0])
    data = predictor.config.data
    built = build(predictor, load(moved(data, config.data_dir), sha256=predictor.data_sha256))
    target = directory / "demo.html"
    target.write_text(built.html, encoding="utf-8")
    return "\n".join(
        [
            f"network          {predictor.described(newest=config.checkpoint is None)}",
            f"page             {target}   {target.stat().st_size / 1e3:,.0f} kB",
            f"                 its probabilities differ by at most {built.difference:.1e} on the test images",
            "next             open it in a browser",
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Page:
    html: str
    difference: float
    """The largest by which a probability of the page differs from the network's, over the official test images."""


def build(predictor: Predictor, dataset: Dataset) -> Page:
    """The whole page.

    Raises:
        ExportError: the page does not know the activation, or shorter weights change a probability by more than 1e-4.
    """
    activation, known = predictor.config.model.activation, activations()
    if activation not in known:
        raise ExportError(f"expected a network with one of {', '.join(known)}, got model.activation={activation}")
    images = torch.from_numpy(dataset.test_images)
    probabilities = predictor.log_probabilities(images).exp()
    shortened = copy.deepcopy(predictor)
    for part in filter(None, (shortened.network, shortened.ood_detector)):
        for parameter in part.parameters():
            parameter.data = _shortened(parameter.data)
    difference = float((shortened.log_probabilities(images).exp() - probabilities).abs().max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"expected weights of 24 bits to change no probability by {TOLERANCE:g}, got {difference:.1e}"
        )
    description = _description(shortened, dataset, probabilities.numpy())
    parts = {
        "style": (PARTS / "style.css").read_text(encoding="utf-8"),
        "network": json.dumps(description).replace("<", r"\u003c"),  # no tag may end the script that holds it
        "script": script(),
    }
    page = (PARTS / "page.html").read_text(encoding="utf-8")
    return Page(html=re.sub(r"{{ (\w+) }}", lambda match: parts[match[1]], page), difference=difference)


def activations() -> list[str]:
    """The names of those that activations.mjs knows."""
    table = (PARTS / "activations.mjs").read_text(encoding="utf-8").partition("ACTIVATIONS = {")[2].partition("\n};")[0]
    return re.findall(r"^  (\w+):", table, flags=re.MULTILINE)


def script() -> str:
    """The modules one after another, as one: a page that is opened from a disk may not import its own."""
    joined = "\n".join((PARTS / f"{name}.mjs").read_text(encoding="utf-8") for name in MODULES)
    return re.sub(r"^import [^;]*;\n|^export ", "", joined, flags=re.MULTILINE)


def _description(predictor: Predictor, dataset: Dataset, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """What network.mjs and main.mjs read."""
    linear = [layer for layer in predictor.network.layers if isinstance(layer, nn.Linear)]
    detector = predictor.ood_detector
    answers, labels = probabilities.argmax(1), dataset.test_labels
    wrong = np.flatnonzero(answers != labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")]
    right = [np.flatnonzero((labels == label) & (answers == label))[:OF_EACH_CLASS] for label in np.unique(labels)]
    chosen = np.concatenate([*right, wrong[:MISTAKES]])
    return {
        "widths": [linear[0].in_features, *(layer.out_features for layer in linear)],
        "activation": predictor.config.model.activation,
        "mean": predictor.config.data.mean,
        "std": predictor.config.data.std,
        "temperature": predictor.calibration.temperature,
        "threshold": predictor.calibration.threshold,
        "highestFreeEnergy": predictor.calibration.free_energy,
        "classNames": list(predictor.class_names),
        "weights": _weights(linear),
        "oodDetector": None if detector is None else _weights([detector.first, detector.last]),
        "averageImage": _base64(dataset.test_images.mean(0).round().astype(np.uint8).tobytes()),
        "tested": len(labels),
        "mistakes": len(wrong),
        "samples": {"images": _base64(dataset.test_images[chosen].tobytes()), "labels": labels[chosen].tolist()},
    }


def _weights(layers: Sequence[nn.Linear]) -> str:
    return _base64(b"".join(_bytes(part) for layer in layers for part in (layer.weight, layer.bias)))


def _shortened(values: Tensor) -> Tensor:
    """Float32 rounded to its upper 24 bits: three quarters of the bytes, and unlike float16 no visible error."""
    return ((values.contiguous().view(torch.int32) + 0x80) & ~0xFF).view(torch.float32)


def _bytes(values: Tensor) -> bytes:
    """The upper three bytes of each number, the lowest of them first."""
    words: NDArray[np.uint8] = values.detach().numpy().astype("<f4").view(np.uint8).reshape(-1, 4)
    return words[:, 1:].tobytes()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
