"""Overrides: which methods of Lightning a module, a data module or a callback has of its own."""

from __future__ import annotations

from typing import Any

import lightning as L


def overrides(owner: Any, base: type[Any], name: str) -> bool:
    """Whether `owner` overrides the attribute `name` of `base`: in its class, or on the object itself, as a
    `LambdaCallback` does.
    """
    if name in ("log", "optimizers") and name in vars(owner):  # set by `Member`
        return False
    return name in vars(owner) or getattr(type(owner), name, None) is not getattr(base, name)


def has_batch_hooks(callback: L.Callback) -> bool:
    """Whether the callback has a hook around a batch."""
    return any(overrides(callback, L.Callback, name) for name in ("on_train_batch_start", "on_train_batch_end"))
