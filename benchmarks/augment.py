"""What deforming a batch costs, against the training step that it is for: 784-128-64-10, one CPU thread.

`PYTHONPATH=src python benchmarks/augment.py` takes both in turn, so that what else the machine does strikes both, and
prints medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from mnist_mlp.config.compose import composed
from mnist_mlp.data.augment import Augmentation
from mnist_mlp.model.networks import DataSpec, build_network
from mnist_mlp.optim.optimizers import build_optimizer

ROUNDS = 200


def milliseconds(*works: Callable[[], object]) -> list[float]:
    """The median of each, taken in turn."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, times, strict=True):
            began = time.perf_counter()
            work()
            taken.append(1_000 * (time.perf_counter() - began))
    return [statistics.median(taken) for taken in times]


SPEC = DataSpec(image_shape=(1, 28, 28), class_names=tuple("0123456789"), mean=(0.1307,), std=(0.3081,))


def measure(group: str, batch_size: int) -> str:
    config = composed(f"augment={group}")
    images = torch.randint(0, 256, (55_000, *SPEC.image_shape), dtype=torch.uint8)
    labels = torch.randint(0, 10, (55_000,))
    indices = torch.randint(0, 55_000, (batch_size,))
    network = build_network(config.model, SPEC)
    optimizer = build_optimizer(config.optimizer, network.parameters())
    deform = Augmentation(config.augment, SPEC.image_shape, torch.device("cpu"))

    def step() -> None:
        output = network(images.index_select(0, indices))
        cross_entropy(output, labels.index_select(0, indices)).backward()
        optimizer.step()
        optimizer.zero_grad()

    def augment() -> None:
        deform(images.index_select(0, indices), deform.draw(0, 0, batch_size))

    step_ms, augment_ms = milliseconds(step, augment)
    return f"{group:<8} {batch_size:>10} {step_ms:>9.2f} {augment_ms:>11.2f} {augment_ms / step_ms:>7.2f}"


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'augment':<8} {'batch size':>10} {'step, ms':>9} {'augment, ms':>11} {'ratio':>7}")
    for group in ("shift", "affine", "elastic"):
        for batch_size in (64, 128, 512):
            print(measure(group, batch_size))


if __name__ == "__main__":
    main()
