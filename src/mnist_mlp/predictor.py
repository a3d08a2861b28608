"""A trained network ready for use: what evaluation, prediction and export share, read from a checkpoint alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mnist_mlp import checkpoint as files
from mnist_mlp.config import Config
from mnist_mlp.model import MLP

BATCH = 2_500


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Fitted on validation and kept in the checkpoint; without it, what the network says is taken as it is."""

    temperature: float = 1.0
    """Log-probabilities are divided by it and normalised again (Guo et al. 2017, sec. 4.2)."""
    threshold: float = 0.0
    """The least probability of the first guess with which it is an answer; below, the network is not sure."""
    free_energy: float | None = None
    """The highest free energy with which an image counts as one of the classes at all; None is no limit."""


@dataclass(frozen=True, kw_only=True)
class Predictor:
    checkpoint: Path
    network: MLP
    class_names: Sequence[str]
    config: Config
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def load(cls, place: Path) -> Predictor:
        """From a checkpoint file, or the best checkpoint of a run directory.

        Raises:
            CheckpointError: there is none, it is damaged, or it holds more than tensors and plain values.
        """
        path = files.find(place)
        content = files.read(path)
        config = files.config_of(content)
        return cls(
            checkpoint=path,
            network=files.network_of(content, config),
            class_names=content["class_names"],
            config=config,
            calibration=Calibration(**content.get("calibration", {})),
        )

    @torch.inference_mode()
    def log_probabilities(self, images: Tensor) -> Tensor:
        """Images `(N, 28, 28)` or `(N, 784)` uint8 to calibrated log-probabilities `(N, 10)`, in batches."""
        parts = [self.network.log_probabilities(part) for part in images.split(BATCH)]
        return (torch.cat(parts) / self.calibration.temperature).log_softmax(dim=1)

    @torch.inference_mode()
    def free_energies(self, images: Tensor) -> Tensor:
        """Images as for `log_probabilities` to -log sum exp(logits) `(N,)`: the higher, the less like what it knows.

        A softmax hides how large the logits were, and they are small for what the network never saw (Liu et al. 2020).
        """
        network = self.network
        return torch.cat([-network.layers(network.normalise(part)).logsumexp(dim=1) for part in images.split(BATCH)])
