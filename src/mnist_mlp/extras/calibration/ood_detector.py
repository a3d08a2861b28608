"""Whether an image is of any class at all: a small network that looks at what a trained classifier makes of it.

A classifier has an answer for everything. What its layers say of images of no class is different, though, and can be
learned from outliers (Hendrycks et al. 2019), here without touching the classifier and its probabilities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.data.loader import EVALUATION_BATCH
from mnist_mlp.extras.calibration import synthetic_outliers as outliers
from mnist_mlp.model import MLP

HIDDEN = 64
EXAMPLES = 20_000  # at most so many images of the classes, and as many outliers
EPOCHS, BATCH, LR = 10, 250, 3e-3


class Detector(nn.Module):
    """From the outputs of a classifier's layers `(B, F)` to a score `(B,)`: the higher, the less of any class."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, 1)

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> Detector:
        detector = cls(state["first.weight"].shape[1])
        detector.load_state_dict(state)
        return detector.eval()

    def forward(self, outputs: Tensor) -> Tensor:
        score: Tensor = self.last(F.relu(self.first(outputs))).squeeze(1)
        return score

    @torch.no_grad()
    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """From now on subtract the mean `(F,)` of the outputs and divide by their deviation `(F,)` first."""
        self.first.weight.div_(deviation)
        self.first.bias.sub_(self.first.weight @ mean)

    @torch.no_grad()
    def lower(self, by: float) -> None:
        """Lower all scores."""
        self.last.bias.sub_(by)


def outputs_of_layers(network: MLP, images: Tensor) -> Tensor:
    """Images `(B, 28, 28)` or `(B, 784)` uint8 to what every hidden layer gives out, and then the logits: `(B, F)`."""
    values, outputs = network.normalise(images), []
    for place, layer in enumerate(network.layers):
        if place > 0 and isinstance(layer, nn.Linear):
            outputs.append(values)
        values = layer(values)
    return torch.cat([*outputs, values], dim=1)


def fit(network: MLP, images: Tensor, labels: Tensor, seed: int) -> Detector:
    """Learn to tell images `(N, 784)` uint8 of the classes from outliers made of them; the same for the same arguments.

    Args:
        labels: `(N,)`, of at least two classes.
    """
    images, labels = images[:EXAMPLES], labels[:EXAMPLES]
    strange = outliers.make(images, labels, len(images), seed).flatten(1)
    with torch.no_grad():
        shown = torch.cat([images, strange]).split(EVALUATION_BATCH)
        outputs = torch.cat([outputs_of_layers(network, part) for part in shown])
    is_strange = (torch.arange(len(outputs)) >= len(images)).float()
    mean, deviation = outputs.mean(0), outputs.std(0) + 1e-3  # some units of a network are always off
    outputs = outputs.sub_(mean).div_(deviation)
    # A generator of its own: what else this process has drawn changes nothing.
    generator = torch.Generator().manual_seed(seed)
    detector = Detector(outputs.shape[1])
    for layer in (detector.first, detector.last):
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -(layer.in_features**-0.5), layer.in_features**-0.5, generator=generator)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(outputs) // BATCH))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(outputs), generator=generator).split(BATCH):
            loss = F.binary_cross_entropy_with_logits(detector(outputs[batch]), is_strange[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    detector.standardise(mean, deviation)
    return detector.eval()
