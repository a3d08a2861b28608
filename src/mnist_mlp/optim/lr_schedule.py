"""The learning rate schedules: the rate as a function of the step alone.

There is nothing to save, nothing to restore, and the rate is the same on every device. To add one: its function in
`SCHEDULES`, and its keys in `config/schema.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mnist_mlp.config.schema import SchedulerConfig


def constant(config: Any, step: int, total_steps: int) -> float:
    return 1.0


def one_cycle(config: Any, step: int, total_steps: int) -> float:
    """A rise along a half cosine and a fall along another: `torch.optim.lr_scheduler.OneCycleLR` (Smith 2018)."""
    return _warm_up_and_fall(config, step, total_steps, rise=_cosine)


def cosine(config: Any, step: int, total_steps: int) -> float:
    """A rise in a straight line and a fall along a half cosine (Loshchilov and Hutter 2017)."""
    return _warm_up_and_fall(config, step, total_steps, rise=_line)


SCHEDULES: dict[str, Callable[[Any, int, int], float]] = {
    "constant": constant,
    "one_cycle": one_cycle,
    "cosine": cosine,
}
"""From the section `scheduler`, a step 0 <= step < total_steps and total_steps to a share of `optimizer.lr`."""


def lr_factor(config: SchedulerConfig, step: int, total_steps: int) -> float:
    """The share of `optimizer.lr` that a step uses; beyond the last step that of the last one."""
    return SCHEDULES[config.name](config, min(step, total_steps - 1), total_steps)


def build_lr_schedule(config: SchedulerConfig, optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """The schedule `scheduler.name`, to be stepped once after each optimizer step."""
    return LambdaLR(optimizer, lambda step: lr_factor(config, step, total_steps))


def _warm_up_and_fall(config: Any, step: int, total_steps: int, rise: Callable[[float, float, float], float]) -> float:
    """`rise` to 1 over the share `warmup` of all steps, then a half cosine from 1 to `end` at the last step."""
    peak = max(config.warmup * total_steps - 1, 0.0)
    last = total_steps - 1
    if step < peak:
        return rise(config.start, 1.0, step / peak)
    return _cosine(1.0, config.end, (step - peak) / (last - peak)) if last > peak else 1.0


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _line(start: float, end: float, done: float) -> float:
    return start + (end - start) * done
