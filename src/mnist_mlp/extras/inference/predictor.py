"""The predictor: a trained network with its calibration, read from a checkpoint alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnist_mlp.config.errors import ConfigError, UserError
from mnist_mlp.config.schema import Config
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.loader import in_batches
from mnist_mlp.data.sources import load, with_data_at
from mnist_mlp.extras.inference.ood_detector import OodDetector, outputs_of_layers
from mnist_mlp.model.networks import Network
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.runs import newest as newest_run
from mnist_mlp.runs.directories import shown
from mnist_mlp.runs.record import read_run

Images = Tensor | NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on validation and is kept in the checkpoint; the default changes nothing and refuses nothing."""

    temperature: float = 1.0
    """Log-probabilities are divided by it and normalised again (Guo et al. 2017, sec. 4.2)."""
    threshold: float = 0.0
    """The best guess is an answer only if its probability is at least this; below, the network is unsure."""
    free_energy: float | None = None
    """The limit of what the function `free_energy` computes: an image above it shows none of the classes. None: no
    limit, or there is a detector, whose limit is 0."""
    number_threshold: float = 0.0
    """A number read in a picture is accepted only if the product of its digits' probabilities is at least this."""
    number_margin: float = 0.0
    """By how much the out-of-distribution score of a digit beside others may exceed the limit."""


@dataclass(frozen=True, kw_only=True)
class Predictor:
    checkpoint: Path
    network: Network
    class_names: Sequence[str]
    config: Config
    data_sha256: str | None = None
    """Checksum of the data set that it was trained on; see `data.sources.load`."""
    calibration: Calibration = field(default_factory=Calibration)
    ood_detector: OodDetector | None = None
    """Its score is above 0 for an image of none of the classes."""

    @classmethod
    def load(cls, place: str | Path) -> Predictor:
        """From a checkpoint file, or the best checkpoint of a run directory.

        Raises:
            CheckpointError: there is none, it is damaged, or it holds more than tensors and plain values.
        """
        path = checkpoint_file.find(Path(place))
        content = checkpoint_file.read(path)
        return cls.of(content, path, _with_recorded_place(checkpoint_file.config_of(content), path))

    @classmethod
    def of(cls, content: dict[str, Any], path: Path, config: Config) -> Predictor:
        """From what was read from a checkpoint file; `config` is the checkpoint's configuration as a typed object."""
        detector = content.get("ood_detector")
        return cls(
            checkpoint=path,
            network=checkpoint_file.network_of(content, config),
            class_names=content["class_names"],
            config=config,
            data_sha256=content.get("data_sha256"),
            calibration=Calibration(**content.get("calibration", {})),
            ood_detector=None if detector is None else OodDetector.from_state(detector),
        )

    def data_set(self, place: str | None) -> Dataset:
        """The data set that the network was trained on, at `place` if that is not None.

        Raises:
            ConfigError: it is not there, or has changed.
            DataError: it cannot be downloaded.
        """
        try:
            return load(with_data_at(self.config.data, place), sha256=self.data_sha256)
        except ConfigError as error:
            advice = "; data_dir=<folder or file> is where it is now" if str(error).startswith("data.path") else ""
            raise ConfigError(f"{error}{advice}") from error

    def described(self, *, newest: bool) -> str:
        """Its checkpoint, with remarks: on a run that was taken as the `newest`, and if it was not trained on MNIST."""
        remarks = newest_run.remarks(self.checkpoint, newest_run.OUTPUTS) if newest else []
        remarks += [f"trained on {self.config.data.name}"] if self.config.data.name != "mnist" else []
        return f"{shown(self.checkpoint)}" + (f"   ({', '.join(remarks)})" if remarks else "")

    @torch.inference_mode()
    def log_probabilities(self, images: Images) -> Tensor:
        """Images `(N, C, H, W)` to calibrated log-probabilities `(N, classes)`, in batches.

        They may also be flat, `(N, pixels)`, or grey without a channel axis, `(N, H, W)`. They are uint8, or floats in
        [0, 1] for the grey levels 0..255.

        Raises:
            UserError: they are anything else.
        """
        return (self.logits(images) / self.calibration.temperature).log_softmax(dim=1)

    @torch.inference_mode()
    def logits(self, images: Images) -> Tensor:
        """Images as for `log_probabilities` to the output of the last layer `(N, classes)`."""
        return in_batches(self.network.logits, as_grey_levels(images, self.network.image_shape))

    @property
    def ood_limit(self) -> float:
        """The highest `ood_score` of an image of one of the classes."""
        if self.ood_detector is not None:
            return 0.0
        return math.inf if self.calibration.free_energy is None else self.calibration.free_energy

    @torch.inference_mode()
    def ood_score(self, images: Images) -> Tensor:
        """Images as for `log_probabilities` to scores `(N,)`: the detector's, or without one the free energies."""
        detector = self.ood_detector
        if detector is None:
            return free_energy(self.logits(images))
        levels = as_grey_levels(images, self.network.image_shape)
        return in_batches(lambda part: detector(outputs_of_layers(self.network, part)), levels)


def as_grey_levels(images: Images, image_shape: tuple[int, ...]) -> Tensor:
    """Images of numpy or torch as grey levels 0..255, each of `image_shape`, or flat, or without its one channel.

    Raises:
        UserError: they are neither uint8 nor floats in [0, 1], or of another shape.
    """
    try:
        levels = (
            images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))
        )  # a copy: its strides suit torch
    except (TypeError, ValueError) as error:  # objects, rows of several lengths, another byte order
        raise UserError(f"expected images as uint8 in 0..255 or as floats in [0, 1]: {error}") from error
    shapes = {image_shape, (prod(image_shape),), image_shape[1:] if image_shape[0] == 1 else image_shape}
    if tuple(levels.shape[1:]) not in shapes:
        raise UserError(f"expected images (N, {', '.join(map(str, image_shape))}), got {tuple(levels.shape)}")
    if levels.is_floating_point() and (levels.numel() == 0 or (levels.min() >= 0 and levels.max() <= 1)):
        return levels * 255
    if levels.dtype != torch.uint8:
        of = f" from {levels.min()} to {levels.max()}" if levels.is_floating_point() else ""
        raise UserError(f"expected images as uint8 in 0..255 or as floats in [0, 1], got {levels.dtype}{of}")
    return levels


def free_energy(logits: Tensor) -> Tensor:
    """Logits `(N, classes)` to -log sum exp(logits) `(N,)`: the higher, the less like the images of training.

    A softmax hides how large the logits were, and they are small for what the network never saw (Liu et al. 2020).
    """
    return -logits.logsumexp(dim=1)


def _with_recorded_place(config: Config, checkpoint: Path) -> Config:
    """`config` with the place of the data in run.json, if there is one: the run may have been resumed after a move."""
    with suppress(ConfigError, KeyError):
        if (run := read_run(checkpoint.parent.parent)) is not None:
            places = {name: run.config["data"][name] for name in ("dir", "path")}
            return replace(config, data=replace(config.data, **places))
    return config
