"""Optimizers by name.

To add one: its entry in `OPTIMIZERS`, and its name and keys in `config/schema.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from inspect import signature

from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer

from mnist_mlp.config.schema import OptimizerConfig
from mnist_mlp.config.tables import entry

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adamw": AdamW,
    "adam": Adam,
    "sgd": SGD,
}
"""Classes that take the parameters and the keys of the section `optimizer`, except `name`"""


def build_optimizer(config: OptimizerConfig, parameters: Iterable[Parameter], *, fused: bool = True) -> Optimizer:
    """The optimizer `optimizer.name`, with the other keys of its section.

    Args:
        fused: update all parameters by one kernel, where the class has one. For AdamW on a small network that takes
            about half as long on the CPU.
    """
    keys = asdict(config)
    kind = entry(OPTIMIZERS, keys.pop("name"), "optimizer.name", "OPTIMIZERS of optim/optimizers.py")
    if "fused" in signature(kind).parameters:
        keys["fused"] = fused
    return kind(list(parameters), **keys)
