"""Flat memory: parameters, gradients and optimizer state of M networks as rows of one tensor each.

One row is all that a network has, so an update, a norm or an average is one call instead of one for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mnist_mlp.distributed.strategy import sum_over_ranks


class Flat:
    """The parameters of the networks become views of the rows of `parameters`, their gradients of `gradients`."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """Networks of one architecture."""
        self.shapes = [parameter.shape for parameter in networks[0].parameters()]
        self.sizes = [shape.numel() for shape in self.shapes]
        columns = [list(network.parameters()) for network in networks]
        self.parameters = self.move([[parameter.data for parameter in row] for row in columns])
        self.gradients = torch.zeros_like(self.parameters)
        self._pairs: list[tuple[nn.Parameter, Tensor]] = []
        for row, values, gradients in zip(columns, self.rows(self.parameters), self.rows(self.gradients), strict=True):
            for parameter, value in zip(row, values, strict=True):
                parameter.data = value
            self._pairs += zip(row, gradients, strict=True)
        self.attach_gradients()

    def attach_gradients(self) -> None:
        for parameter, gradient in self._pairs:
            parameter.grad = gradient

    def move(self, rows: Sequence[Sequence[Tensor]]) -> Tensor:
        """Tensors of the parameters' shapes, for each network, in one tensor `(M, P)`."""
        return torch.stack([torch.cat([tensor.flatten() for tensor in row]) for row in rows])

    def rows(self, flat: Tensor) -> list[list[Tensor]]:
        """From `(M, P)` to each network's views of its row, in the parameters' shapes."""
        return [
            [part.view(shape) for part, shape in zip(row.split(self.sizes), self.shapes, strict=True)] for row in flat
        ]

    def views(self, flat: Tensor) -> list[Tensor]:
        """From `(M, P)` to views of all networks at once: `(M, *shape)` of each parameter."""
        parts = flat.split(self.sizes, dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]


class SharedGradients:
    """The gradients of a network as one flat tensor, summed over the ranks that share its minibatches."""

    def __init__(self, network: nn.Module) -> None:
        self.flat = Flat([network])

    def backward(self, loss: Tensor, share: float) -> Tensor:
        """From the mean loss over this rank's `share` (0 to 1) of a minibatch: gradients and loss of all of it."""
        self.flat.gradients.zero_()
        self.flat.attach_gradients()
        weighted = loss * share if share > 0 else torch.zeros_like(loss)  # of no images there is no mean
        if share > 0:
            weighted.backward()  # type: ignore[no-untyped-call]
        sum_over_ranks(self.flat.gradients)
        return sum_over_ranks(weighted.detach())
