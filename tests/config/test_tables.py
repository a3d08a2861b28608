"""A name that is in the schema and not in its table, or only in a YAML file, gives one line that says what to add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from helpers.networks import data_spec, model_config
from torch import nn

from mnist_mlp.config import parsing
from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import Config
from mnist_mlp.model import losses, metrics, networks
from mnist_mlp.optim import lr_schedule, optimizers

MODEL = model_config()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: networks.build_network(replace(MODEL, name="mine"), data_spec()), "model.name: mine .* NETWORKS of"),
        (lambda: losses.build_loss(replace(MODEL, loss="mine"), training=True), "model.loss: mine .* LOSSES of"),
        (lambda: metrics.build_metrics(["acc", "mine"], 10, "val"), "metrics: mine .* METRICS of"),
        (
            lambda: optimizers.build_optimizer(
                replace(composed("data=synthetic").optimizer, name="mine"), nn.Linear(1, 1).parameters()
            ),
            "optimizer.name: mine .* OPTIMIZERS of",
        ),
        (
            lambda: lr_schedule.lr_factor(replace(composed("data=synthetic").scheduler, name="mine"), 0, 10),
            "scheduler.name: mine .* SCHEDULES of",
        ),
        (
            lambda: networks.build_network(replace(MODEL, hidden=[4], activation="mine"), data_spec()),
            "model.activation: mine .* ACTIVATIONS of",
        ),
    ],
)
def test_a_name_without_an_entry_names_the_table(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_an_option_that_is_not_declared_names_the_decorator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = asdict(composed("data=synthetic"))
    values["model"]["name"] = "mlpx"
    with pytest.raises(ConfigError, match=r"got 'mlpx'; did you mean mlp\?"):
        parsing.from_dict(values, Config)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mlpx.yaml").touch()
    monkeypatch.setattr(parsing, "CONFIGS", tmp_path)
    with pytest.raises(ConfigError, match=r'got \'mlpx\'; .* config/schema.py, by @variant\("model", "mlpx"\)'):
        parsing.from_dict(values, Config)
