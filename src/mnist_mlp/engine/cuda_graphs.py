"""On a GPU, one optimizer step recorded once as a CUDA graph and replayed.

A step of a small network is some fifty kernels of a few microseconds each, and starting them from Python takes many
times longer than running them. A graph starts them all at once. The first steps run eagerly, as the recording needs
every buffer (gradients, optimizer state) to be there; a last batch of another size runs eagerly too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Step = Callable[..., tuple[Tensor, Tensor]]
"""Indices of a minibatch `(B,)`, and its noise if there is any, to its loss, a scalar, and the network's output
`(B, 10)`; updates the weights."""

Replay = Callable[[], tuple[Tensor, Tensor]]

EAGER_STEPS = 3


def on_side_stream(step: Step, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Run the step off the default stream: what autograd sets up there could not be recorded afterwards."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        loss, output = step(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    return loss, output


def cuda_graph(step: Step, *inputs: Tensor) -> Replay:
    """Record `step(*inputs)` without running it; each replay runs it on what `inputs` hold then."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        loss, output = step(*inputs)

    def replay() -> tuple[Tensor, Tensor]:
        graph.replay()
        return loss.clone(), output.clone()

    return replay


class CapturedStep:
    """A step that replaces itself by its recording once it can, and stays as it is where it cannot be recorded."""

    def __init__(
        self,
        step: Step,
        warm_up: Callable[..., tuple[Tensor, Tensor]] = on_side_stream,
        record: Callable[..., Replay] = cuda_graph,
    ) -> None:
        self.step, self.warm_up, self.record = step, warm_up, record
        self._eager_steps = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._replay: Replay | None = None
        self._recordable = True

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        if self._replay is None and self._recordable and self._eager_steps >= EAGER_STEPS:
            self._record(*inputs)
        if self._replay is not None and inputs[0].shape == self._inputs[0].shape:
            for recorded, given in zip(self._inputs, inputs, strict=True):
                recorded.copy_(given)
            return self._replay()
        self._eager_steps += 1
        return self.warm_up(self.step, *inputs)

    def _record(self, *inputs: Tensor) -> None:
        self._inputs = tuple(given.clone() for given in inputs)
        try:
            self._replay = self.record(self.step, *self._inputs)
        except RuntimeError as error:
            self._recordable = False
            log.warning("the step cannot be recorded as a CUDA graph and runs eagerly: %s", error)
