"""Flat memory: the parameters of M networks as one tensor `(M, P)`, one row per network; gradients likewise.

So an update, a norm or an average is one call for all layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor, nn

ALIGNED = 32
"""Each row begins at a multiple of so many numbers: 128 bytes in float32, 256 in float64."""


class Flat:
    """Moves the parameters of networks into the rows of `parameters`, and their gradients into those of `gradients`.

    The networks keep working: their parameters become views of the rows.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """`networks` have the same architecture."""
        self.shapes = [parameter.shape for parameter in networks[0].parameters()]
        self.sizes = [shape.numel() for shape in self.shapes]
        per_network = [list(network.parameters()) for network in networks]
        self.parameters = self.flatten([[parameter.data for parameter in row] for row in per_network])
        self.gradients = self._zeros(len(networks), like=self.parameters)
        self._pairs: list[tuple[nn.Parameter, Tensor]] = []
        for row, values, gradients in zip(
            per_network, self.rows(self.parameters), self.rows(self.gradients), strict=True
        ):
            for parameter, value in zip(row, values, strict=True):
                parameter.data = value
            self._pairs += zip(row, gradients, strict=True)
        self.attach_gradients()

    def attach_gradients(self) -> None:
        for parameter, gradient in self._pairs:
            parameter.grad = gradient

    def flatten(self, rows: Sequence[Sequence[Tensor]]) -> Tensor:
        """From lists of tensors in the parameters' shapes, one list per network, to one tensor `(M, P)`."""
        flat = self._zeros(len(rows), like=rows[0][0])
        for own, row in zip(flat, rows, strict=True):
            own.copy_(torch.cat([tensor.flatten() for tensor in row]))
        return flat

    def _zeros(self, rows: int, like: Tensor) -> Tensor:
        """`(rows, P)`. Each row begins at a cache line, as the memory of a single network does.

        At other addresses kernels may round differently; at these a network gets the same bits in a stack as alone.
        """
        width = sum(self.sizes)
        return like.new_zeros(rows, ceil(width / ALIGNED) * ALIGNED)[:, :width]

    def rows(self, flat: Tensor) -> list[list[Tensor]]:
        """From `(M, P)` to views of each row, in the parameters' shapes."""
        return [
            [part.view(shape) for part, shape in zip(row.split(self.sizes), self.shapes, strict=True)] for row in flat
        ]

    def views(self, flat: Tensor) -> list[Tensor]:
        """From `(M, P)` to one view per parameter, `(M, *shape)`, for all networks at once."""
        parts = flat.split(self.sizes, dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]
