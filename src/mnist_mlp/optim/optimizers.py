"""Optimizers by name.

To add one: its entry in `OPTIMIZERS`, and its keys in `config/schema.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import torch
from torch.nn import Parameter

from mnist_mlp.config.schema import OptimizerConfig

FUSED = {"fused": True}
"""One kernel updates all parameters: on the CPU this halves the time of a small step."""

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": lambda parameters, **keys: torch.optim.AdamW(parameters, **FUSED | keys),
    "adam": lambda parameters, **keys: torch.optim.Adam(parameters, **FUSED | keys),
    "sgd": lambda parameters, **keys: torch.optim.SGD(parameters, **FUSED | keys),
}
"""From parameters and the keys of the section `optimizer`, except `name`, to an optimizer"""


def build_optimizer(config: OptimizerConfig, parameters: Iterable[Parameter], **more: Any) -> torch.optim.Optimizer:
    """The optimizer `optimizer.name`, with the other keys of its section and the keyword arguments `more`."""
    keys = asdict(config)
    return OPTIMIZERS[keys.pop("name")](list(parameters), **keys, **more)
