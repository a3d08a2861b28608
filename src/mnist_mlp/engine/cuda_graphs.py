"""CUDA graphs: on a GPU all steps of a chunk are recorded once and replayed.

A step of a small network is some thirty kernels of a few microseconds each, and starting them from Python takes many
times longer than running them. A graph starts them all at once. What a step reads (indices, targets, learning rates) it
reads from tensors that stay where they are and are filled before each replay; its noise comes from generators that are
seeded before each replay.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Generator

log = logging.getLogger(__name__)

Work = Callable[[], None]


def record(work: Work, generators: Sequence[Generator]) -> Work:
    """Record what `work` does on the GPU, without doing it; each call of the result does it once."""
    gc.collect()  # a graph that is freed while another one is recorded would spoil it
    collecting = gc.isenabled()
    gc.disable()
    try:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            work()
    finally:
        if collecting:
            gc.enable()
    return graph.replay


class RecordedWork:
    """Work of several shapes: the first time each is done eagerly, which sets everything up, and then replayed."""

    def __init__(self, record: Callable[[Work, Sequence[Generator]], Work] = record) -> None:
        self.record = record
        self._seen: set[Hashable] = set()
        self._replays: dict[Hashable, Work] = {}
        self._stream: torch.cuda.Stream | None = None
        self._recordable = True

    def __call__(self, shape: Hashable, work: Work, generators: Sequence[Generator] = ()) -> None:
        """Do `work`, which always does the same for the same `shape`, on whatever its tensors hold now.

        Args:
            generators: those that `work` draws from.
        """
        if shape in self._replays:
            self._replays[shape]()
        elif shape in self._seen and self._recordable:
            self._record(shape, work, generators)
            self._replays.get(shape, work)()
        else:
            self._seen.add(shape)
            self._on_side_stream(work)

    def _record(self, shape: Hashable, work: Work, generators: Sequence[Generator]) -> None:
        try:
            self._replays[shape] = self.record(work, generators)
        except RuntimeError as error:
            self._recordable = False
            log.warning("the steps cannot be recorded as a CUDA graph and run one by one: %s", error)

    def _on_side_stream(self, work: Work) -> None:
        """Off the default stream, where what is set up could not be recorded afterwards; one stream for all calls."""
        if not torch.cuda.is_available():
            work()
            return
        self._stream = self._stream or torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            work()
        torch.cuda.current_stream().wait_stream(self._stream)


def recorder(device: torch.device) -> RecordedWork | None:
    """What records the steps on this device; None: they run one by one."""
    return RecordedWork() if device.type == "cuda" else None
