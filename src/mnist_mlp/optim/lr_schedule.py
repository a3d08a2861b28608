"""The learning rate as a function of the step alone: nothing to save, nothing to restore, the same on every device."""

from __future__ import annotations

import math

from mnist_mlp.config.schema import SchedulerConfig, WarmupConfig


def rate(scheduler: SchedulerConfig, step: int, total_steps: int) -> float:
    """The share of `optimizer.lr` that step 0 <= `step` < `total_steps` uses.

    `one_cycle` rises along a half cosine and falls along another (Smith 2018; the formula of
    `torch.optim.lr_scheduler.OneCycleLR` with two phases); `cosine` rises in a straight line
    (Loshchilov and Hutter 2017 for the fall).
    """
    if not isinstance(scheduler, WarmupConfig):
        return 1.0
    peak = max(scheduler.warmup * total_steps - 1, 0.0)
    last = total_steps - 1
    if step < peak:
        done = step / peak
        return (
            _cosine(scheduler.start, 1.0, done) if scheduler.name == "one_cycle" else _line(scheduler.start, 1.0, done)
        )
    return _cosine(1.0, scheduler.end, (step - peak) / (last - peak)) if last > peak else 1.0


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _line(start: float, end: float, done: float) -> float:
    return start + (end - start) * done
