"""The out-of-distribution (OOD) detector: a small network on the activations of a trained classifier.

A classifier predicts a class for every image. Its activations differ for images of no class, and that difference can be
learned from outliers (outlier exposure, Hendrycks et al. 2019) without changing the classifier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.model.networks import Network

HIDDEN = 64


class OodDetector(nn.Module):
    """From `outputs_of_layers` of a classifier `(B, F)` to a score `(B,)`: higher for images that show no class."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, 1)

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> OodDetector:
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
        """Lower all scores, so that a limit of `by` becomes 0."""
        self.last.bias.sub_(by)


def outputs_of_layers(network: Network, images: Tensor) -> Tensor:
    """Images `(B, C, H, W)` or flat, 0..255, to what the detector looks at, `(B, F)`.

    That is the input of each linear layer, except one that comes first in the network, whose input is the image; and
    the logits. In an MLP these inputs are the activations of the hidden layers; in a CNN also what convolutions give.
    """
    values, outputs = network.normalise(images), []
    for place, layer in enumerate(network.layers):
        if place > 0 and isinstance(layer, nn.Linear):
            outputs.append(values)
        values = layer(values)
    return torch.cat([*outputs, values], dim=1)
