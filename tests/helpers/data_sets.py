"""Data sets as the configuration's section `data` asks for them."""

from __future__ import annotations

from typing import Any

from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.sources import load


def data_config(name: str, **changes: Any) -> DataConfig:
    keys: dict[str, Any] = {"dir": "unused", "batch_size": 128, "val_size": 500, "mean": 0.1307, "std": 0.3081}
    return DataConfig(name=name, **(keys | changes))


def synthetic() -> Dataset:
    return load(data_config("synthetic"))
