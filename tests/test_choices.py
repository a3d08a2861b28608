"""Every name that the schema declares is in its table; each network, loss and optimizer can be built and trains."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.networks import data_spec
from omegaconf import OmegaConf
from torch import nn

from mnist_mlp.config import schema
from mnist_mlp.config.compose import composed
from mnist_mlp.config.declare import VARIANTS
from mnist_mlp.model.losses import LOSSES, build_loss
from mnist_mlp.model.metrics import METRICS
from mnist_mlp.model.networks import NETWORKS, build_network
from mnist_mlp.optim.lr_schedule import SCHEDULES
from mnist_mlp.optim.optimizers import OPTIMIZERS, build_optimizer

IMAGES, CLASSES = 8, 10


def chosen(group: str, name: str) -> Any:
    """The section `group` under this name: of its own file, or of one with the same keys."""
    known = {other: set(kind.__dataclass_fields__) for other, kind in VARIANTS[group].items()}
    files = {OmegaConf.load(file).get("name"): file.stem for file in (schema.CONFIGS / group).glob("*.yaml")}
    option = files.get(name) or next((files[other] for other in files if known.get(other) == known[name]), None)
    assert option is not None, f"configs/{group}/ has no file with the keys of {name}"
    return getattr(composed("data=synthetic", f"{group}={option}", f"{group}.name={name}"), group)


@pytest.mark.parametrize(
    ("declared", "table"),
    [
        pytest.param(VARIANTS["model"], NETWORKS, id="model"),
        pytest.param(VARIANTS["optimizer"], OPTIMIZERS, id="optimizer"),
        pytest.param(VARIANTS["scheduler"], SCHEDULES, id="scheduler"),
        pytest.param(schema.LOSS_NAMES, LOSSES, id="loss"),
        pytest.param(schema.METRIC_KINDS, METRICS, id="metrics"),
    ],
)
def test_the_names_of_the_schema_are_those_of_the_table(declared: Collection[str], table: Collection[str]) -> None:
    assert set(declared) == set(table)


@pytest.mark.parametrize("name", VARIANTS["model"])
def test_each_network_gives_one_output_for_each_class_and_a_gradient_to_each_weight(name: str) -> None:
    network = build_network(chosen("model", name), data_spec())
    output = network(torch.randint(256, (IMAGES, 1, 28, 28), dtype=torch.uint8))
    assert output.shape == (IMAGES, CLASSES)
    (output * torch.randn(IMAGES, CLASSES)).sum().backward()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert trained
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trained)
    assert any(parameter.grad.any() for parameter in trained)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", schema.LOSS_NAMES)
def test_each_loss_is_smaller_for_right_answers_than_for_wrong_ones(name: str, training: bool) -> None:
    labels = torch.arange(IMAGES)
    right = 3 * nn.functional.one_hot(labels, CLASSES).float()
    model = replace(composed("data=synthetic").model, loss=name, label_smoothing=0.1)
    loss = build_loss(model, training=training)
    small, large = (loss(LOSSES[name].head(logits), labels) for logits in (right, -right))
    assert small.shape == ()
    assert small.isfinite() and large.isfinite()
    assert small < large


@pytest.mark.parametrize("name", VARIANTS["optimizer"])
def test_each_optimizer_goes_downhill(name: str) -> None:
    weight = nn.Parameter(torch.zeros(5))
    optimizer = build_optimizer(chosen("optimizer", name), [weight])
    (weight - 1).square().sum().backward()
    optimizer.step()
    assert (weight - 1).square().sum() < 5
