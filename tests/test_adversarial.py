"""Adversarial images: against the chain rule by hand, and in a training step against a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.kill_and_resume import configuration
from helpers.networks import mlp
from torch.nn import functional as F

from mnist_mlp import DigitClassifier, DigitsDataModule
from mnist_mlp.model.adversarial import adversarial_images
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train


def test_a_linear_network_against_the_chain_rule_by_hand() -> None:
    """The gradient of the cross-entropy of one image is (softmax - one_hot) @ weight, divided by the deviation."""
    torch.manual_seed(0)
    network = mlp(mean=0.2, std=0.4).double()
    images = (255 * torch.rand(5, 1, 28, 28, dtype=torch.float64)).requires_grad_()
    labels = torch.tensor([3, 1, 4, 1, 5])
    moved = adversarial_images(images, F.cross_entropy(network(images), labels), distance=1.5).numpy()

    weight, bias = (parameter.detach().numpy() for parameter in network.layers[0].parameters())
    x = images.detach().numpy().reshape(5, 784)
    logits = (x / 255 - 0.2) / 0.4 @ weight.T + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = (probabilities - np.eye(10)[labels.numpy()]) @ weight
    expected = x + 255 * 1.5 * gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
    np.testing.assert_allclose(moved.reshape(5, 784), expected, rtol=1e-9)


def test_images_whose_gradient_is_zero_stay_as_they_are() -> None:
    network = mlp()
    torch.nn.init.zeros_(network.layers[0].weight)
    images = torch.rand(2, 1, 28, 28).requires_grad_()
    loss = F.cross_entropy(network(images), torch.tensor([0, 1]))
    assert torch.equal(adversarial_images(images, loss, 1.0), images)


@pytest.mark.parametrize("factor", [1.0, 1e-20, 1e-34])
def test_an_image_of_which_the_network_is_sure_moves_as_far_as_any_other(factor: float) -> None:
    """Its gradient is so small that, in single precision, the squares of its parts are zero."""
    torch.manual_seed(0)
    network = mlp()
    images = (255 * torch.rand(3, 1, 28, 28)).requires_grad_()
    loss = F.cross_entropy(network(images), torch.tensor([3, 1, 4]))
    (gradient,) = torch.autograd.grad(loss, images, retain_graph=True)
    direction = gradient.double() / gradient.double().flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    moved = adversarial_images(images, factor * loss, 1.5) - images.detach()
    torch.testing.assert_close(moved.double(), 255 * 1.5 * direction, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_training_counts_an_image_and_its_adversarial_one_equally(engine: str, tmp_path: Path) -> None:
    config = configuration(
        "model.adversarial=1.0",
        "model.dropout=0",
        "model.label_smoothing=0",
        "optimizer=sgd",
        "optimizer.momentum=0",
        "optimizer.weight_decay=0",
        "scheduler=constant",
        "trainer.precision=64-true",
        "trainer.max_steps=1",
        f"engine={engine}",
    )
    torch.manual_seed(config.seed)
    data = DigitsDataModule(config)
    data.setup()
    module = DigitClassifier(config, data.spec).double()
    loader = data.train_dataloader()
    loader.set_epoch(0)
    images, labels = next(iter(loader))
    images = images.double().requires_grad_()
    loss = F.cross_entropy(module.network(images), labels)
    (gradient,) = torch.autograd.grad(loss, images, retain_graph=True)
    moved = images.detach() + 255 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    whole = (loss + F.cross_entropy(module.network(moved), labels)) / 2
    gradients = torch.autograd.grad(whole, list(module.network.parameters()))
    expected = [
        parameter - config.optimizer.lr * change
        for parameter, change in zip(module.network.parameters(), gradients, strict=True)
    ]

    result = train(config, tmp_path)
    assert result.history[0]["train/loss"] == pytest.approx(loss.item(), rel=1e-6)  # of the images as they are
    trained = checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)["state_dict"]
    for (name, _), value in zip(module.named_parameters(), expected, strict=True):
        torch.testing.assert_close(trained[name], value, rtol=1e-9, atol=1e-12)
