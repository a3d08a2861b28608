"""Configured optimizer: what a module's `configure_optimizers` returns, as far as the engine supports it."""

from __future__ import annotations

from typing import Any

from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mnist_mlp.config.errors import ConfigError


def optimizer_and_schedule(configured: Any) -> tuple[Optimizer, LRScheduler | None]:
    """Optimizer and schedule in the result of `configure_optimizers`.

    Raises:
        ConfigError: the result has a form that only Lightning's own loop supports.
    """
    if isinstance(configured, Optimizer):
        configured = {"optimizer": configured}
    if isinstance(configured, dict) and isinstance(optimizer := configured.get("optimizer"), Optimizer):
        given = configured.get("lr_scheduler") or {"scheduler": None, "interval": "step"}
        by_step = isinstance(given, dict) and given.get("interval") == "step" and given.get("frequency", 1) == 1
        # LBFGS computes the loss several times for each step, ReduceLROnPlateau wants a metric.
        if by_step and not isinstance(optimizer, LBFGS) and not isinstance(given.get("scheduler"), ReduceLROnPlateau):
            return optimizer, given.get("scheduler")
    raise ConfigError(
        "configure_optimizers: engine=fast expects an optimizer other than LBFGS, or a dictionary of it and an "
        "lr_scheduler other than ReduceLROnPlateau with interval='step'; engine=plain takes whatever Lightning takes"
    )


class OptimizerOf:
    """`LightningModule.optimizers` of a member's module, which can be copied and pickled with it."""

    def __init__(self, optimizer: Optimizer | None = None) -> None:
        self.optimizer = optimizer

    def __call__(self, *_: Any, **__: Any) -> Optimizer | None:
        return self.optimizer

    def __deepcopy__(self, memo: dict[int, Any]) -> OptimizerOf:
        return self

    def __reduce__(self) -> tuple[type[OptimizerOf], tuple[()]]:
        return OptimizerOf, ()
