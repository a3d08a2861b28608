"""CUDA graphs: on a GPU, all steps of a chunk are captured once and then replayed.

A step of a small network is about thirty kernels of a few microseconds each; launching them from Python takes many
times longer than running them. A graph launches all of them at once. Its inputs (indices, targets, learning rates) are
tensors with fixed addresses, filled before each replay; its noise comes from generators, seeded before each replay.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Generator

log = logging.getLogger(__name__)

Work = Callable[[], None]
NEEDS_NO_REGISTRATION = "2.15"
"""the version of torch from which a capture finds the generators itself; registering them prints a warning"""


def record(work: Work, generators: Sequence[Generator]) -> Work:
    """Capture the kernels of `work` in a graph, without running them; each call of the result runs them once."""
    gc.collect()  # a graph that the collector frees during the capture would break it
    collecting = gc.isenabled()
    gc.disable()
    try:
        graph = torch.cuda.CUDAGraph()
        if torch.__version__ < NEEDS_NO_REGISTRATION:
            for generator in generators:
                graph.register_generator_state(generator)
        torch.cuda.synchronize()
        # On a stream of its own: torch's default one stays on the GPU of the first capture in this process.
        with torch.cuda.graph(graph, stream=torch.cuda.Stream()):
            work()
    finally:
        if collecting:
            gc.enable()
    return graph.replay


class Recorder:
    """Runs work eagerly the first time, which initialises libraries and allocators; then captures and replays it."""

    def __init__(self, record: Callable[[Work, Sequence[Generator]], Work] = record) -> None:
        self.record = record
        self._seen: set[Hashable] = set()
        self._replays: dict[Hashable, Work] = {}
        self._stream: torch.cuda.Stream | None = None
        self._recordable = True

    def __call__(self, key: Hashable, work: Work, generators: Sequence[Generator] = ()) -> None:
        """Run `work` on the present content of its tensors.

        Args:
            key: identifies the work; the same key must mean the same kernels on the same tensors.
            generators: the random generators that `work` draws from.
        """
        if key in self._replays:
            self._replays[key]()
        elif key in self._seen and self._recordable:
            self._record(key, work, generators)
            self._replays.get(key, work)()
        else:
            self._seen.add(key)
            self._on_side_stream(work)

    def _record(self, key: Hashable, work: Work, generators: Sequence[Generator]) -> None:
        try:
            self._replays[key] = self.record(work, generators)
        except RuntimeError as error:
            self._recordable = False
            log.warning("the steps cannot be recorded as a CUDA graph and run one by one: %s", error)

    def _on_side_stream(self, work: Work) -> None:
        """Run eagerly on a side stream: a warm-up on the default stream would not allow a capture afterwards."""
        if not torch.cuda.is_available():
            work()
            return
        self._stream = self._stream or torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            work()
        torch.cuda.current_stream().wait_stream(self._stream)


def recorder_for(device: torch.device) -> Recorder | None:
    """The recorder for this device; None if steps run one by one."""
    return Recorder() if device.type == "cuda" else None
