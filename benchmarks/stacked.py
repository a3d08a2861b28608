"""How long a sweep takes side by side and one after another, and how near that is to its matrix products alone.

`python benchmarks/stacked.py` writes benchmarks/results/stacked.md. In each round the same jobs, 4 learning rates with
8 seeds each, are trained in a stack and then one after another, `--sample` of them, as one costs as much as the next.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from mnist_mlp import runs
from mnist_mlp.config import CONFIGS, Config
from mnist_mlp.configuration import parse
from mnist_mlp.stacked import training as stacked
from mnist_mlp.stacked.grouping import Job, cores, even_parts, plan
from mnist_mlp.training import train

WIDTHS = [784, 128, 64, 10]
IMAGES = 55_000


def sweep(batch_size: int, epochs: int, seeds: int) -> list[Config]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return [
            parse(
                compose(
                    "train",
                    [
                        f"data.batch_size={batch_size}",
                        f"trainer.max_epochs={epochs}",
                        "trainer.accelerator=cpu",
                        "trainer.enable_progress_bar=false",
                        f"optimizer.lr={rate}",
                        f"seed={seed}",
                    ],
                ),
                Config,
            )
            for rate in ("1e-4", "3e-4", "1e-3", "3e-3")
            for seed in range(seeds)
        ]


def side_by_side(configs: Sequence[Config], directory: Path) -> float:
    jobs = []
    for number, config in enumerate(configs):
        place = directory / "stacked" / str(number)
        place.mkdir(parents=True)
        jobs.append(Job(number=number, config=config, directory=place))
    began = time.perf_counter()
    for stack in plan(jobs).stacks:
        stacked.train(stack)
    return time.perf_counter() - began


def one_after_another(configs: Sequence[Config], numbers: Sequence[int], directory: Path) -> float:
    """Seconds for those of the jobs that have these numbers."""
    began = time.perf_counter()
    for number in numbers:
        place = directory / "alone" / str(number)
        place.mkdir(parents=True)
        train(configs[number], place)
    return time.perf_counter() - began


def matrix_products(networks: int, batch_size: int, steps: int) -> float:
    """Seconds for the products of `steps` training steps alone, into memory that is there already."""
    parts = even_parts(range(networks), cores())
    torch.set_num_threads(1)

    def multiply(members: Sequence[int]) -> None:
        count = len(members)
        values = [torch.randn(count, batch_size, width) for width in WIDTHS]
        pairs = list(itertools.pairwise(WIDTHS))
        weights = [torch.randn(count, out, into) for into, out in pairs]
        gradients: list[Tensor] = [torch.empty_like(weight) for weight in weights]
        backward = [torch.empty_like(value) for value in values]
        for _ in range(steps):
            for layer, weight in enumerate(weights):
                torch.bmm(values[layer], weight.mT, out=values[layer + 1])
            for layer in reversed(range(len(weights))):
                torch.bmm(values[layer + 1].mT, values[layer], out=gradients[layer])
                if layer > 0:
                    torch.bmm(values[layer + 1], weights[layer], out=backward[layer])

    with ThreadPoolExecutor(len(parts)) as pool:
        began = time.perf_counter()
        list(pool.map(multiply, parts))
        return time.perf_counter() - began


def furthest_validation_accuracy(directory: Path, numbers: Sequence[int]) -> float:
    """The largest difference of the final validation accuracy between the two ways, in points."""
    differences = []
    for number in numbers:
        finals = [
            json.loads((directory / way / str(number) / runs.RESULT).read_text())["history"][-1]["val/acc"]
            for way in ("stacked", "alone")
        ]
        differences.append(100 * abs(finals[0] - finals[1]))
    return max(differences)


def measure(batch_size: int, given: argparse.Namespace) -> str:
    """One row of the table."""
    configs = sweep(batch_size, given.epochs, given.seeds)
    together, alone, floor, apart = [], [], [], []
    for turn in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            numbers = [(turn + at * len(configs) // given.sample) % len(configs) for at in range(given.sample)]
            together.append(side_by_side(configs, directory) / len(configs) / given.epochs)
            alone.append(one_after_another(configs, numbers, directory) / len(numbers) / given.epochs)
            steps = -(-IMAGES // batch_size)
            floor.append(matrix_products(len(configs), batch_size, steps // 10) * 10 / len(configs))
            apart.append(furthest_validation_accuracy(directory, numbers))
        print(f"batch {batch_size}, round {turn + 1}: {together[-1]:.3f} {alone[-1]:.3f} {floor[-1]:.3f}", flush=True)
    faster = statistics.median(b / a for a, b in zip(together, alone, strict=True))
    above = statistics.median(a / c for a, c in zip(together, floor, strict=True))
    seconds = [statistics.median(values) for values in (together, alone, floor)]
    return (
        f"| {batch_size} | {seconds[0]:.3f} | {seconds[1]:.3f} | {faster:.1f} | {seconds[2]:.3f} | {above:.2f} "
        f"| {max(apart):.2f} |"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256, 1024])
    arguments.add_argument("--epochs", type=int, default=1)
    arguments.add_argument("--seeds", type=int, default=8, help="for each of 4 learning rates")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--sample", type=int, default=4, help="jobs to train one after another in a round")
    arguments.add_argument("--note", default="", help="what else the machine was doing")
    arguments.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "stacked.md")
    given = arguments.parse_args()
    logging.getLogger("mnist_mlp").setLevel(logging.WARNING)
    stacked.load("mnist", CONFIGS.parent / "data")  # read once, as a sweep does
    rows = [measure(batch_size, given) for batch_size in given.batch_sizes]
    lines = [
        "# A sweep side by side against one after another",
        "",
        f"{4 * given.seeds} jobs (4 learning rates, {given.seeds} seeds), 784-128-64-10, AdamW, MNIST, {given.epochs} "
        f"epoch(s), with logs, checkpoints, calibration and test; {cores()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}. Medians of {given.rounds} rounds, in which "
        f"the ways alternate; {given.sample} jobs of each round were trained one after another."
        + (f" {given.note}" if given.note else ""),
        "",
        "Seconds are for one network and one epoch, everything from set-up to test included.",
        "",
        "| batch | stacked | one after another | times faster | matrix products alone | stacked / products "
        "| val accuracy apart, points |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
        "",
    ]
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
