"""Seconds of an epoch: ours, a hand-written loop, and the matrix products alone; in one process, in turn.

`python benchmarks/epoch.py` writes results/epoch.md and, with `--scaling`, the plot results/scaling.png.

Ours has everything on: TensorBoard, progress bar (on a terminal made for it), checkpoints, validation. The loop is
what one would write by hand: images normalised once and kept as float tensors, a minibatch by index, the fused AdamW,
the mean loss, and validation after the epoch. Both use the same number of threads.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import report
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.config.parsing import composed
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import split
from mnist_mlp.data.sources import load
from mnist_mlp.distributed.hardware import cpu_threads
from mnist_mlp.training import train

EPOCHS = 3


def configuration(*overrides: str) -> Config:
    return composed(f"trainer.max_epochs={EPOCHS}", *overrides)


@contextmanager
def terminal() -> Iterator[None]:
    """Standard error is a terminal, so that the progress bar is drawn; what it shows is read and thrown away."""
    screen, keyboard = os.openpty()
    threading.Thread(target=_drain, args=(screen,), daemon=True).start()
    before = sys.stderr
    with os.fdopen(keyboard, "w") as sys.stderr:
        try:
            yield
        finally:
            sys.stderr = before


def _drain(screen: int) -> None:
    try:
        while os.read(screen, 65_536):
            pass
    except OSError:  # the other end is closed
        os.close(screen)


def ours(config: Config) -> list[float]:
    """Seconds of each epoch, as result.json has them."""
    with tempfile.TemporaryDirectory() as folder, terminal():
        return [row["seconds"] for row in train(config, Path(folder)).history]


class ByHand:
    def __init__(self, config: Config) -> None:
        self.config = config
        dataset = load(config.data)
        chosen, val = split(dataset.train_labels, config.data.val_size)
        images = torch.from_numpy(dataset.train_images).flatten(1).float().div(255)
        images = (images - config.data.mean) / config.data.std
        labels = torch.from_numpy(dataset.train_labels).long()
        count = config.trainer.limit_train_batches
        chosen = chosen[: count * config.data.batch_size if isinstance(count, int) else None]
        self.train, self.val = (images[chosen], labels[chosen]), (images[val], labels[val])

    def __call__(self) -> list[float]:
        config = self.config
        network = plain_network(config.model.hidden)
        torch.set_num_threads(cpu_threads(config.data.batch_size, sum(p.numel() for p in network.parameters())))
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.optimizer.lr, fused=True)
        seconds = []
        for _ in range(EPOCHS):
            began = time.perf_counter()
            losses = [self.step(network, optimizer, batch) for batch in self.order().split(config.data.batch_size)]
            float(torch.stack(losses).mean())
            with torch.no_grad():
                float((network(self.val[0]).argmax(1) == self.val[1]).float().mean())
            seconds.append(time.perf_counter() - began)
        return seconds

    def order(self) -> Tensor:
        return torch.randperm(len(self.train[0]))

    def step(self, network: nn.Module, optimizer: torch.optim.Optimizer, batch: Tensor) -> Tensor:
        images, labels = self.train
        loss = F.cross_entropy(network(images[batch]), labels[batch], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()


def plain_network(hidden: list[int]) -> nn.Sequential:
    widths = [784, *hidden]
    layers = [
        part for before, after in zip(widths, hidden, strict=False) for part in (nn.Linear(before, after), nn.ReLU())
    ]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 10))


def products(config: Config, images: int) -> Callable[[], list[float]]:
    """The matrix products of one epoch and nothing else: forward, and both halves of backward."""
    batch, widths = config.data.batch_size, [784, *config.model.hidden, 10]
    pairs = list(pairwise(widths))
    inputs = [torch.randn(batch, before) for before, _ in pairs]
    outputs = [torch.randn(batch, after) for _, after in pairs]
    weights = [torch.randn(after, before) for before, after in pairs]

    def run() -> list[float]:
        began = time.perf_counter()
        for _ in range(-(-images // batch)):
            for number, (x, y, w) in enumerate(zip(inputs, outputs, weights, strict=True)):
                x @ w.T
                y.T @ x
                if number:  # the images need no gradient
                    y @ w
        return [time.perf_counter() - began]

    return run


def compare(*overrides: str, rounds: int) -> tuple[float, float, float]:
    """Median seconds of an epoch: ours, by hand, products alone."""
    config = configuration(*overrides)
    by_hand = ByHand(config)
    floor = products(config, len(by_hand.train[0]))
    seconds: tuple[list[float], ...] = ([], [], [])
    for _ in range(rounds):
        for kept, measured in zip(seconds, (ours(config), by_hand(), floor()), strict=True):
            kept += measured
    return statistics.median(seconds[0]), statistics.median(seconds[1]), statistics.median(seconds[2])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--scaling", action="store_true", help="also by number of images and by width, as a plot")
    given = arguments.parse_args()
    logging.disable(logging.INFO)
    rows = []
    for batch in (64, 128, 256, 1024):
        our, hand, floor = compare(f"data.batch_size={batch}", rounds=given.rounds)
        rows.append((batch, our, hand, floor, our / hand, our / floor))
    head = ("batch", "ours (s)", "by hand (s)", "products alone (s)", "ours / by hand", "ours / products")
    text = f"784-128-64-10, 55,000 training and 5,000 validation images; medians of {given.rounds * EPOCHS} epochs."
    report.write("epoch", "Seconds of an epoch", text, report.table(head, rows), __doc__.split("\n\n")[2])
    if given.scaling:
        scaling(given.rounds)


def scaling(rounds: int) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    batches = (53, 107, 214, 429)
    widths = (32, 128, 512, 1024)
    by_images = [compare("data.batch_size=128", f"trainer.limit_train_batches={n}", rounds=rounds) for n in batches]
    by_width = [compare("data.batch_size=128", f"model.hidden=[{n},{n // 2}]", rounds=rounds) for n in widths]
    for axes, places, measured, label in (
        (left, [128 * n for n in batches], by_images, "training images"),
        (right, widths, by_width, "width of the first hidden layer (the second is half)"),
    ):
        for name, values in zip(("ours", "by hand", "products alone"), zip(*measured, strict=True), strict=True):
            axes.loglog(places, values, marker="o", label=name)
        axes.set(xlabel=label, ylabel="seconds of an epoch")
        axes.grid(alpha=0.3)
    left.legend()
    figure.savefig(report.RESULTS / "scaling.png", dpi=110)


if __name__ == "__main__":
    main()
