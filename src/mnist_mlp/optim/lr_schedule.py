"""Learning rate schedules: functions of the step and the number of steps, so a checkpoint need not store their state.

To add one: its function in `SCHEDULES`, and its name and keys in `config/schema.py`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import depends_on_length
from mnist_mlp.config.schema import SchedulerConfig
from mnist_mlp.config.tables import entry


def constant(config: Any, step: int, total_steps: int) -> float:
    return 1.0


def one_cycle(config: Any, step: int, total_steps: int) -> float:
    """Cosine warm-up, then cosine decay (Smith 2018).

    The learning rate of `torch.optim.lr_scheduler.OneCycleLR`, if the warm-up has at least one step.
    """
    return _warmup_then_decay(config, step, total_steps, warmup=_cosine)


def cosine(config: Any, step: int, total_steps: int) -> float:
    """Linear warm-up, then cosine decay (Loshchilov and Hutter 2017)."""
    return _warmup_then_decay(config, step, total_steps, warmup=_linear)


SCHEDULES: dict[str, Callable[[Any, int, int], float]] = {
    "constant": constant,
    "one_cycle": one_cycle,
    "cosine": cosine,
}
"""From the section `scheduler`, step (0 <= step < total_steps) and total_steps to a multiple of `optimizer.lr`"""


def lr_factor(config: SchedulerConfig, step: int, total_steps: int) -> float:
    """Learning rate of a step, as a multiple of `optimizer.lr`; after the last step, that of the last step."""
    schedule = entry(SCHEDULES, config.name, "scheduler.name", "SCHEDULES of optim/lr_schedule.py")
    return schedule(config, min(step, total_steps - 1), total_steps)


def build_lr_schedule(config: SchedulerConfig, optimizer: Optimizer, total_steps: float) -> LambdaLR:
    """The schedule `scheduler.name`; call its `step()` after each optimizer step.

    Args:
        total_steps: infinite if the length of the run is not known.

    Raises:
        ConfigError: it is infinite, and the learning rates depend on it.
    """
    if math.isinf(total_steps) and depends_on_length(config.name):
        raise ConfigError(
            f"scheduler={config.name}: expected a Trainer with max_epochs or max_steps, on which the learning rates "
            "depend; scheduler=constant needs no length"
        )
    steps = sys.maxsize if math.isinf(total_steps) else int(total_steps)
    return LambdaLR(optimizer, lambda step: lr_factor(config, step, steps))


def _warmup_then_decay(
    config: Any, step: int, total_steps: int, warmup: Callable[[float, float, float], float]
) -> float:
    """Rise from `config.start` to 1 along the curve `warmup`, during the fraction `config.warmup` of all steps; then a
    cosine to `config.end`."""
    peak = max(config.warmup * total_steps - 1, 0.0)
    last = total_steps - 1
    if step < peak:
        return warmup(config.start, 1.0, step / peak)
    return _cosine(1.0, config.end, (step - peak) / (last - peak)) if last > peak else 1.0


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _linear(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress
