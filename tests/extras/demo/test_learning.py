"""The training in the page, by node, against torch: gradients by autograd in float64, and steps of torch's own Adam."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnist_mlp.model.networks import ACTIVATIONS

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not on PATH")
STEPS, RATE = 5, 0.01


@pytest.mark.parametrize(("activation", "hidden"), [*((each, [8, 6]) for each in ACTIVATIONS), ("relu", [])], ids=str)
def test_gradients_losses_and_steps_are_those_of_torch(activation, hidden, tmp_path):
    torch.manual_seed(0)
    widths = [20, *hidden, 4]
    layers = [nn.Linear(*pair).double() for pair in itertools.pairwise(widths)]
    images = torch.rand(6, 20, dtype=torch.float64) * (torch.rand(6, 20) > 0.5)  # some blank, as pixels are
    labels = torch.tensor([0, 1, 2, 3, 3, 0])
    given = {
        "widths": widths,
        "activation": activation,
        "weights": [layer.weight.flatten().tolist() for layer in layers],
        "biases": [layer.bias.tolist() for layer in layers],
        "images": images.tolist(),
        "labels": labels.tolist(),
        "steps": STEPS,
        "rate": RATE,
    }
    (tmp_path / "given.json").write_text(json.dumps(given))
    words = [NODE, str(Path(__file__).with_name("training.mjs")), str(tmp_path / "given.json")]
    got = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    network = nn.Sequential(*[part for layer in layers for part in (layer, ACTIVATIONS[activation]())][:-1])
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    losses = []
    for step in range(STEPS):
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert_same(got["gradients"], [(layer.weight.grad, layer.bias.grad) for layer in layers], 2e-6)
        optimizer.step()
        losses.append(loss.item())
    assert got["losses"] == pytest.approx(losses, abs=1e-5)
    assert_same(got["layers"], [(layer.weight, layer.bias) for layer in layers], 1e-4)


def assert_same(got, expected, tolerance):
    """The page keeps its weights in float32."""
    for ours, (weight, bias) in zip(got, expected, strict=True):
        for numbers, tensor in [(ours["weight"], weight), (ours["bias"], bias)]:
            assert np.abs(np.array(numbers) - tensor.detach().flatten().numpy()).max() < tolerance
