"""A checkpoint of a network that was never trained: all that export and the page need, in a millisecond."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from helpers.kill_and_resume import configuration
from helpers.networks import data_spec

from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.model.networks import build_network
from mnist_mlp.runs import checkpoint_file


def checkpoint(path: Path, *overrides: str, **calibration: float) -> Path:
    """Writes it to `path`. Its weights are three times the usual ones, so that some of its answers are certain."""
    config = configuration(*overrides)
    torch.manual_seed(0)
    data = data_spec(config.data.mean, config.data.std)
    network = build_network(config.model, data)
    weights = {name: 3 * value if "layers" in name else value for name, value in network.state_dict().items()}
    content = {
        "state_dict": {f"network.{name}": value for name, value in weights.items()},
        "config": asdict(config),
        "hyper_parameters": {"config": asdict(config), "data": asdict(data)},
        "class_names": list("0123456789"),
        "calibration": calibration,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint_file.write(content, path)
    return path


def predictor(directory: Path, *overrides: str, **calibration: float) -> Predictor:
    return Predictor.load(checkpoint(directory / "untrained.ckpt", *overrides, **calibration))
