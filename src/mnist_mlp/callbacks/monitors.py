"""Check of `monitor` after a validation: the metric must have been measured."""

from __future__ import annotations

from collections.abc import Collection

from mnist_mlp.config.errors import ConfigError

LOSS = "val/loss"


def require_measured(section: str, monitor: str, names: Collection[str]) -> None:
    """Check that the metric `monitor` is among `names`, those that have been measured.

    Raises:
        ConfigError: it is not.
    """
    if monitor not in names:
        if not (known := [name for name in names if name.startswith("val/")]):
            raise ConfigError(f"{section}.monitor: expected that the module logs {monitor}, it logs nothing as val/...")
        raise ConfigError(
            f"{section}.monitor: expected one of {', '.join(known)}, got {monitor!r}; metrics=[acc,f1] adds metrics"
        )
