"""Training of the OOD detector: a binary classifier of training images against synthetic outliers made from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.data.loader import in_batches
from mnist_mlp.extras.calibration import synthetic_outliers
from mnist_mlp.extras.calibration.pens import with_other_pens
from mnist_mlp.extras.handwriting.mnist_format import SIDE
from mnist_mlp.extras.inference.ood_detector import OodDetector, outputs_of_layers
from mnist_mlp.model.networks import Network

BATCH = 250


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits for accepting the digits read in a user's picture; `benchmarks/operating_point.py` tries other limits."""

    sure: float
    """lowest product of the digits' probabilities: `Calibration.number_threshold`"""
    alone: float
    """the limit of the OOD score of a digit on its own is this quantile of the validation images' scores: 0.95 refuses
    what looks stranger than 95 % of them"""
    beside_others: float
    """the same for a digit beside others"""


USUAL = Limits(sure=0.85, alone=0.95, beside_others=0.995)


@dataclass(frozen=True, kw_only=True)
class DetectorTraining:
    """Settings for training the OOD detector."""

    examples: int
    """maximum number of training images; equally many outliers are made"""
    epochs: int
    lr: float
    limits: Limits = USUAL
    """a stronger detector makes fewer errors, so its limits may be more lenient; without a detector, `USUAL` holds"""


# Training takes about ten seconds (THOROUGH) and one second (QUICK).
THOROUGH = DetectorTraining(
    examples=60_000, epochs=6, lr=3e-3, limits=Limits(sure=0.8, alone=0.965, beside_others=0.999)
)
QUICK = DetectorTraining(examples=8_000, epochs=6, lr=1e-2)


def fit_ood_detector(
    network: Network, images: Tensor, labels: Tensor, seed: int, training: DetectorTraining = THOROUGH
) -> OodDetector:
    """A detector that tells images `(N, 784)` uint8 from outliers made of them; the same for the same arguments.

    Half of both are redrawn with other pens, so that a pen is no sign of an outlier.

    Args:
        labels: `(N,)`.
    """
    # At random, as the images of a file may be sorted by class.
    chosen = (
        torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[: training.examples].sort().values
    )
    images, labels = images[chosen], labels[chosen]
    # A generator of its own: what else this process has drawn changes nothing.
    generator = torch.Generator().manual_seed(seed)
    outliers = _half_redrawn(synthetic_outliers.make(images, labels, len(images), seed), generator)
    images = _half_redrawn(images, generator)
    with torch.no_grad():
        outputs = in_batches(lambda part: outputs_of_layers(network, part), torch.cat([images, outliers]))
    is_outlier = (torch.arange(len(outputs)) >= len(images)).float()
    mean, deviation = outputs.mean(0), outputs.std(0) + 1e-3  # some units of a network are always off
    outputs = outputs.sub_(mean).div_(deviation)
    detector = OodDetector(outputs.shape[1])
    for layer in (detector.first, detector.last):
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -(layer.in_features**-0.5), layer.in_features**-0.5, generator=generator)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=training.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.epochs * -(-len(outputs) // BATCH))
    for _ in range(training.epochs):
        for batch in torch.randperm(len(outputs), generator=generator).split(BATCH):
            loss = F.binary_cross_entropy_with_logits(detector(outputs[batch]), is_outlier[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    detector.standardise(mean, deviation)
    return detector.eval()


def _half_redrawn(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images `(N, 28, 28)` or `(N, 784)` to `(N, 784)`: a random half with other pens, the others as they are."""
    images = images.view(-1, SIDE, SIDE)[torch.randperm(len(images), generator=generator)]
    as_they_are, others = images.tensor_split(2)
    return torch.cat([as_they_are, with_other_pens(others, generator)]).flatten(1)
