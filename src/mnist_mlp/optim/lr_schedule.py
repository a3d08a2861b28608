"""Learning rate schedules: the learning rate as a function of the step alone, so a checkpoint need not store it.

To add one: its function in `SCHEDULES`, and its keys in `config/schema.py`.
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
    """Cosine warm-up, then cosine decay: `torch.optim.lr_scheduler.OneCycleLR` (Smith 2018)."""
    return _warm_up_and_fall(config, step, total_steps, rise=_cosine)


def cosine(config: Any, step: int, total_steps: int) -> float:
    """Linear warm-up, then cosine decay (Loshchilov and Hutter 2017)."""
    return _warm_up_and_fall(config, step, total_steps, rise=_line)


SCHEDULES: dict[str, Callable[[Any, int, int], float]] = {
    "constant": constant,
    "one_cycle": one_cycle,
    "cosine": cosine,
}
"""From the section `scheduler`, step (0 <= step < total_steps) and total_steps to a multiple of `optimizer.lr`"""


def lr_factor(config: SchedulerConfig, step: int, total_steps: int) -> float:
    """Learning rate of a step as a multiple of `optimizer.lr`; after the last step it stays."""
    return SCHEDULES[config.name](config, min(step, total_steps - 1), total_steps)


def build_lr_schedule(config: SchedulerConfig, optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """The schedule `scheduler.name`; call its `step()` after each optimizer step."""
    return LambdaLR(optimizer, lambda step: lr_factor(config, step, total_steps))


def _warm_up_and_fall(config: Any, step: int, total_steps: int, rise: Callable[[float, float, float], float]) -> float:
    """`rise` from `start` to 1 over the fraction `warmup` of all steps, then a half cosine to `end` at the last."""
    peak = max(config.warmup * total_steps - 1, 0.0)
    last = total_steps - 1
    if step < peak:
        return rise(config.start, 1.0, step / peak)
    return _cosine(1.0, config.end, (step - peak) / (last - peak)) if last > peak else 1.0


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _line(start: float, end: float, done: float) -> float:
    return start + (end - start) * done
