"""Length of a run in chunks: consecutive optimizer steps that Lightning sees as one batch; see `chunks`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mnist_mlp.data.run_length import RunLength


@dataclass(frozen=True, kw_only=True)
class ChunkedLength(RunLength):
    chunk_steps: int
    """optimizer steps in one chunk; the last chunk of an epoch may be shorter"""

    @property
    def chunks_per_epoch(self) -> int:
        return math.ceil(self.steps_per_epoch / self.chunk_steps)

    @property
    def chunks_between_validations(self) -> int:
        return math.ceil(self.steps_between_validations / self.chunk_steps)


def in_chunks(length: RunLength, log_every_n_steps: int) -> ChunkedLength:
    """The length in chunks of at most `log_every_n_steps` steps; every validation is at the end of one.

    Lightning counts the distance between validations in chunks, so the length of a chunk divides it. The last chunk of
    an epoch counts as a whole one, even if it is shorter: it must not make Lightning validate after too few steps.
    """
    epoch, between = length.steps_per_epoch, length.steps_between_validations
    steps = min(log_every_n_steps, epoch)
    if between < epoch:
        most = math.gcd(steps, between)
        divisors = [size for size in range(most, 0, -1) if most % size == 0]
        validates_at_end = epoch % between == 0
        steps = next(size for size in divisors if (_rounded_up(epoch, size) % between == 0) == validates_at_end)
    return ChunkedLength(**vars(length), chunk_steps=steps)


def _rounded_up(number: int, size: int) -> int:
    """The smallest multiple of `size` that is at least `number`."""
    return math.ceil(number / size) * size
