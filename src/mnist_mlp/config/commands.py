"""The typed configuration of each command: a training run's, a run's with a search around it, or keys of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_mlp.config.declare import key
from mnist_mlp.config.schema import Config

PRUNERS = ("median", "halving", "none")
SUITES = ("standard", "robust")


@dataclass(kw_only=True)
class SearchConfig:
    study: str = key("name of the search; the same name goes on with it, also from several processes at once")
    trials: int = key("runs in all, those of other processes and of earlier starts included", at_least=1)
    stack: int = key("runs that are proposed together and, where their shapes agree, trained as one stack", at_least=1)
    startup: int = key("runs drawn at random before the sampler chooses from what it has seen", at_least=1)
    pruner: str = key("what ends a poor run early: median of the others, successive halving", choices=PRUNERS)
    warmup: int = key("epochs that every run is left to make", at_least=1)
    space: dict[str, str] = key("what to search, in the words of a sweep: choice, range, interval, tag(log, ...)")


@dataclass(kw_only=True)
class TuneConfig(Config):
    """The configuration that all trials share, and what is searched around it."""

    tune: SearchConfig


@dataclass(kw_only=True)
class TrainedConfig:
    """The configuration of a command that needs trained networks: they are looked at before it begins."""

    checkpoint: str | None = key("a checkpoint file or a run directory; null: the newest completed run")
    data_dir: str | None = key("folder that keeps the data set; null: where the network was trained from")


@dataclass(kw_only=True)
class EvaluateConfig(TrainedConfig):
    checkpoint: Any = key("a checkpoint file or a run directory, or several as [a,b]; null: the newest completed run")
    split: str = key("what to evaluate on: the official test set, or the validation images", choices=("test", "val"))
    suite: str = key("robust adds a table over damaged images and other people's digits", choices=SUITES)
    committee: bool = key("also evaluate the mean of the probabilities of all checkpoints")


@dataclass(kw_only=True)
class ExportConfig(TrainedConfig):
    dtype: str = key("grey levels that the ONNX file takes: 0..255 or [0, 1]", choices=("uint8", "float32"))
    channel: bool = key("whether it takes images (B, 1, 28, 28) instead of (B, 28, 28)")
    int8: bool = key("also write it with 8-bit weights, and measure that on the official test images")


# The typed configuration of each command, by the name of its file under configs/.
SCHEMAS: dict[str, type[Any]] = {
    "train": Config,
    "tune": TuneConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
    "demo": TrainedConfig,
}
