"""Typed configurations of the commands other than train.py, and `SCHEMAS`, the configuration class of each command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_mlp.config.declare import key
from mnist_mlp.config.schema import Config

PRUNERS = ("median", "halving", "none")
SUITES = ("standard", "robust")
NEWEST = "the newest completed run, or the best run of the sweep or search that it belongs to"


@dataclass(kw_only=True)
class SearchConfig:
    study: str = key("name of the search; the same name continues it, also from several processes at once")
    trials: int = key("trials in total, including those of other processes and of earlier starts", at_least=1)
    stack: int = key(
        "trials proposed together and divided among the processes; those of one shape train as one stack",
        at_least=1,
    )
    startup: int = key("random trials before the sampler proposes values", at_least=1)
    pruner: str = key("how poor trials are stopped early: median of the others, successive halving", choices=PRUNERS)
    warmup: int = key("epochs of every trial before it may be pruned", at_least=1)
    space: dict[str, str] = key("search space, in Hydra's sweep syntax: choice, range, interval, tag(log, ...)")


@dataclass(kw_only=True)
class TuneConfig(Config):
    """The configuration of train.py, which all trials share, and the section `tune`."""

    tune: SearchConfig


@dataclass(kw_only=True)
class TrainedConfig:
    """The configuration of a command that uses trained networks; the checkpoints are checked before it begins."""

    checkpoint: str | None = key(f"a checkpoint file or a run directory; null: {NEWEST}")
    data_dir: str | None = key("folder with the data set; null: the one that the training run used", path=True)


@dataclass(kw_only=True)
class EvaluateConfig(TrainedConfig):
    checkpoint: Any = key(f"a checkpoint file or a run directory, or several as [a,b]; null: {NEWEST}")
    split: str = key("images to evaluate on: the official test set, or the validation images", choices=("test", "val"))
    suite: str = key("robust adds a table over corrupted images and digits from other sources", choices=SUITES)
    committee: bool = key("also evaluate the ensemble: the mean of the probabilities of all checkpoints")


@dataclass(kw_only=True)
class ExportConfig(TrainedConfig):
    dtype: str = key("grey levels that the ONNX file takes: 0..255 or [0, 1]", choices=("uint8", "float32"))
    channel: bool = key(
        "whether it takes grey images (B, 1, H, W) instead of (B, H, W); images in colour are always (B, C, H, W)"
    )
    int8: bool = key("also write a file with 8-bit weights, and measure it on the official test images")


# The configuration class of each command, by the name of its file in configs/.
SCHEMAS: dict[str, type[Any]] = {
    "train": Config,
    "tune": TuneConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
    "demo": TrainedConfig,
}
