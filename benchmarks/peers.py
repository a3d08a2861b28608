"""What an epoch is measured against: a loop written by hand, the same one compiled, JAX, and the products alone.

Each peer trains the network of a configuration on the images of its data set with what the configuration asks for
(dropout, augmentation, convolutions), and gives the seconds of each epoch, validation included.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.config.schema import Config
from mnist_mlp.data.sources import load
from mnist_mlp.data.split import split
from mnist_mlp.distributed.hardware import cpu_threads

Peer = Callable[[int], list[float]]
"""From a number of epochs to the seconds of each."""


class ByHand:
    """The loop that one would write: images normalised once, a minibatch by index, the fused AdamW, the mean loss."""

    def __init__(self, config: Config, *, compiled: bool = False) -> None:
        self.config, self.compiled = config, compiled
        # As in training here: Lightning sets an option with which every step of Adam looks for NVIDIA's library.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
        dataset = load(config.data)
        chosen, val = split(dataset.train_labels, config.data.val_size)
        images = torch.from_numpy(dataset.train_images).float().div(255)
        images = (images - config.data.mean) / config.data.std
        labels = torch.from_numpy(dataset.train_labels).long()
        count = config.trainer.limit_train_batches
        chosen = chosen[: count * config.data.batch_size if isinstance(count, int) else None]
        self.train, self.val = (images[chosen], labels[chosen]), (images[val], labels[val])
        self.black = -config.data.mean / config.data.std
        self.blur = _gaussian(config.augment.smoothness)

    def __call__(self, epochs: int) -> list[float]:
        config = self.config
        network = plain_network(config)
        torch.set_num_threads(threads(config))
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.optimizer.lr, fused=True)
        forward = torch.compile(self.loss) if self.compiled else self.loss
        seconds = []
        for _ in range(epochs):
            began = time.perf_counter()
            losses = []
            for batch in torch.randperm(len(self.train[0])).split(config.data.batch_size):
                optimizer.zero_grad()
                images = self.augmented(self.train[0][batch])
                loss = forward(network, images, self.train[1][batch])
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            float(torch.stack(losses).mean())
            network.eval()
            with torch.no_grad():
                float((network(self.val[0]).argmax(1) == self.val[1]).float().mean())
            network.train()
            seconds.append(time.perf_counter() - began)
        return seconds

    @staticmethod
    def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(network(images), labels, label_smoothing=0.05)

    def augmented(self, images: Tensor) -> Tensor:
        """Each image moved, turned, scaled, slanted and bent on its own, by `affine_grid` and `grid_sample`."""
        keys = self.config.augment
        if not keys.shift:
            return images
        count, side = len(images), images.shape[-1]
        noise = torch.randn(6, count)
        angle, slant = math.radians(keys.rotation) * noise[0], keys.slant * noise[1]
        width, height = 1 + keys.scale * noise[2], 1 + keys.scale * noise[3]
        x, y = keys.shift * 2 / side * noise[4], keys.shift * 2 / side * noise[5]
        rows = [width * angle.cos(), slant - angle.sin(), x, angle.sin(), height * angle.cos(), y]
        grid = F.affine_grid(torch.stack(rows, 1).view(count, 2, 3), [count, 1, side, side], align_corners=False)
        if keys.elastic:
            drawn = torch.randn(2 * count, 1, side, side)
            edge = len(self.blur) // 2
            waves = F.conv2d(drawn, self.blur.view(1, 1, 1, -1), padding=(0, edge))
            waves = F.conv2d(waves, self.blur.view(1, 1, -1, 1), padding=(edge, 0))
            bent = keys.elastic * waves / waves.std() * 2 / side
            grid = grid + bent.view(count, 2, side, side).permute(0, 2, 3, 1)
        return F.grid_sample(images - self.black, grid, align_corners=False) + self.black


def _gaussian(deviation: float) -> Tensor:
    places = torch.arange(-round(2 * deviation), round(2 * deviation) + 1)
    weights = torch.exp(-0.5 * (places / deviation) ** 2)
    return weights / weights.sum()


def plain_network(config: Config) -> nn.Sequential:
    """The network of `config.model` as one would write it."""
    model = config.model
    layers: list[nn.Module] = []
    channels, side = 1, 28
    for wider in getattr(model, "channels", []):
        layers += [nn.Conv2d(channels, wider, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels, side = wider, side // 2
    layers.append(nn.Flatten())
    widths = [channels * side * side, *model.hidden]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout(model.dropout)] if model.dropout else [])]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 10))


def threads(config: Config) -> int:
    """As many as the project takes for this network."""
    parameters = sum(parameter.numel() for parameter in plain_network(config).parameters())
    return cpu_threads(config.data.batch_size, parameters)


def products(config: Config, images: int) -> Peer:
    """The matrix products of an epoch of a perceptron and nothing else: forward, and both halves of backward."""
    batch, widths = config.data.batch_size, [784, *config.model.hidden, 10]
    pairs = list(pairwise(widths))
    inputs = [torch.randn(batch, before) for before, _ in pairs]
    outputs = [torch.randn(batch, after) for _, after in pairs]
    weights = [torch.randn(after, before) for before, after in pairs]

    def epoch() -> float:
        began = time.perf_counter()
        for _ in range(-(-images // batch)):
            for number, (x, y, w) in enumerate(zip(inputs, outputs, weights, strict=True)):
                x @ w.T
                y.T @ x
                if number:  # the images need no gradient
                    y @ w
        return time.perf_counter() - began

    return lambda epochs: [epoch() for _ in range(epochs)]


class Jax:
    """JAX in a process of its own, which trains an epoch whenever it is asked, and sleeps meanwhile."""

    def __init__(self, *, batch_size: int, threads: int, hidden: Sequence[int] = (128, 64), networks: int = 1) -> None:
        words = [f"--batch-size={batch_size}", f"--threads={threads}", f"--networks={networks}"]
        words += ["--hidden", *map(str, hidden)]
        script = str(Path(__file__).with_name("jax_epoch.py"))
        self.process = subprocess.Popen(
            [sys.executable, script, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()  # the seconds that it took to compile

    def __call__(self, epochs: int) -> list[float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{epochs}\n")
        self.process.stdin.flush()
        return [float(word) for word in self._answer().split()]

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process of JAX has ended"
        return line

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def has_jax() -> bool:
    return find_spec("jax") is not None


def has_compiler() -> bool:
    """Whether `torch.compile` finds the compiler of C++ that it needs on a CPU."""
    return any(shutil.which(name) for name in ("g++", "clang++", "cl"))
