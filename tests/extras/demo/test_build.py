"""What a page is refused for, before it is written: needs neither node nor a browser."""

import base64
import hashlib
import re
import zlib
from dataclasses import replace
from types import MethodType

import numpy as np
import pytest
import torch
from helpers import untrained_network as untrained
from helpers.data_sets import synthetic
from torch import nn

from mnist_mlp.config.errors import ExportError
from mnist_mlp.config.schema import ACTIVATION_NAMES
from mnist_mlp.extras.demo import build as building
from mnist_mlp.extras.demo.build import build
from mnist_mlp.extras.demo.description import KNOWN, describe, read_weights


def test_the_page_knows_every_activation_that_a_network_may_have():
    table = (building.PARTS / "activations.mjs").read_text().partition("ACTIVATIONS = {")[2].partition("\n};")[0]
    assert sorted(re.findall(r"^  (\w+): {", table, flags=re.MULTILINE)) == sorted(KNOWN) == sorted(ACTIVATION_NAMES)


def test_an_activation_that_the_page_does_not_know_is_refused(tmp_path):
    predictor = untrained.predictor(tmp_path)
    predictor.config.model.activation = "mish"
    with pytest.raises(ExportError, match=r"expected a network with one of relu, .*, got model\.activation=mish"):
        build(predictor, synthetic())


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2704, 10)],
        [nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10)],
        [nn.Linear(784, 16), nn.Hardtanh(), nn.Linear(16, 10)],
    ],
    ids=["convolution", "batch norm", "another activation"],
)
def test_a_layer_that_the_page_does_not_compute_is_refused_by_its_name(layers, tmp_path):
    predictor = untrained.predictor(tmp_path)
    predictor.network.layers = nn.Sequential(*layers)
    with pytest.raises(ExportError, match=r"got (Conv2d|BatchNorm1d|Hardtanh) as layers\.[01]$"):
        build(predictor, synthetic())


@pytest.mark.parametrize(
    "change", [pytest.param("a skip connection", marks=pytest.mark.slow), "two layers without activation between"]
)
def test_a_forward_pass_that_is_more_than_its_layers_is_refused(change, tmp_path):
    """The page's numbers are compared with what the network itself answers, not with another copy of its layers."""
    predictor = untrained.predictor(tmp_path)
    network = predictor.network
    if change == "a skip connection":
        plain = network.logits
        network.logits = MethodType(lambda self, images: plain(images) + self.normalise(images)[:, :10], network)
    else:
        del network.layers[1]
    with pytest.raises(ExportError, match=r"to give the network's probabilities to 0\.0001, got"):
        build(predictor, synthetic())


def test_images_of_another_shape_are_refused(tmp_path):
    data = synthetic()
    wide = replace(data, train_images=np.zeros((3, 1, 32, 32), np.uint8))
    with pytest.raises(ExportError, match=r"expected grey images of 28 x 28, .* got \(1, 32, 32\) \(C, H, W\)"):
        build(untrained.predictor(tmp_path), wide)


def test_what_the_page_unpacks_are_the_weights_to_24_bits(tmp_path):
    predictor = untrained.predictor(tmp_path, "model.hidden=[12,7]")
    description, _ = describe(predictor, synthetic())
    linear = [layer for layer in predictor.network.layers if isinstance(layer, nn.Linear)]
    for layer, (weight, bias) in zip(linear, read_weights(description["weights"], description["widths"]), strict=True):
        torch.testing.assert_close(weight, layer.weight.data, rtol=2**-16, atol=0)
        torch.testing.assert_close(bias, layer.bias.data, rtol=2**-16, atol=0)


def test_the_examples_to_learn_from_are_training_images_and_those_to_test_are_test_images(tmp_path):
    data = synthetic()
    description, _ = describe(untrained.predictor(tmp_path), data)
    lesson = description["lesson"]
    levels = np.frombuffer(zlib.decompress(base64.b64decode(lesson["images"])), np.uint8)
    images = levels.reshape(-1, 28, 28) * 255.0 / (lesson["levels"] - 1)
    for part, source, labels in [
        (slice(lesson["training"]), data.train_images, data.train_labels),
        (slice(lesson["training"], None), data.test_images, data.test_labels),
    ]:
        number = len(images[part])
        positions = np.arange(number) * len(source) // number
        assert number >= 1_000 and np.abs(images[part] - source[positions, 0]).max() <= 255 / 14 + 0.51
        assert lesson["labels"][part] == labels[positions].tolist()


def test_no_text_but_its_own_script_and_style_may_run(tmp_path):
    html = build(untrained.predictor(tmp_path), synthetic()).html
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', html)
    assert "unsafe" not in policy and policy.startswith("default-src 'none'")
    for kind, tag in [("script", r'<script type="module">'), ("style", "<style>")]:
        (text,) = re.findall(rf"{tag}(.*?)</{kind}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
