"""Optimizers by name.

To add one: its entry in `OPTIMIZERS`, and its keys in `config/schema.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict

import torch
from torch.nn import Parameter

from mnist_mlp.config.schema import OptimizerConfig

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}
"""From parameters, the keys of the section `optimizer` except `name`, and `fused` to an optimizer"""


def build_optimizer(
    config: OptimizerConfig, parameters: Iterable[Parameter], *, fused: bool = True
) -> torch.optim.Optimizer:
    """The optimizer `optimizer.name` with the other keys of its section.

    `fused` updates all parameters in one call: on the CPU half the cost of a small step.
    """
    keys = asdict(config)
    return OPTIMIZERS[keys.pop("name")](list(parameters), fused=fused, **keys)
