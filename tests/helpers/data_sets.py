"""Data sets as the configuration's section `data` asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.sources import load


def data_config(name: str, **changes: Any) -> DataConfig:
    keys: dict[str, Any] = {"dir": "unused", "batch_size": 128, "val_size": 500, "mean": 0.1307, "std": 0.3081}
    return DataConfig(name=name, **(keys | changes))


def synthetic() -> Dataset:
    return load(data_config("synthetic"))


def save_npz(path: Path, seed: int) -> None:
    """40 random images of 4 x 4 in two classes, for data=npz."""
    images, labels = np.random.default_rng(seed).integers(0, 256, (40, 4, 4), np.uint8), np.arange(40) % 2
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
