"""The typed configuration that a command line stands for."""

from __future__ import annotations

from hydra import compose, initialize_config_dir

from mnist_mlp.config import CONFIGS, Config
from mnist_mlp.configuration import parse


def composed(*overrides: str) -> Config:
    """What `python src/train.py <overrides>` trains."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return parse(compose("train", list(overrides)), Config)
