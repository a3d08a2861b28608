"""Seconds of a stacked sweep, of the same jobs one after another, of their matrix products, of a loop by hand, of JAX.

`python benchmarks/stacked.py` writes benchmarks/results/stacked.md. In each round two commands train the same jobs, 4
learning rates with 8 seeds each: one with `hydra/launcher=stacked`, one with Hydra's own launcher; the loop by hand of
`peers.py` trains one network for a few epochs, and JAX, where it is installed, 4, 16 and 32 at once under `vmap`. After
the rounds one core takes training steps of one stack and their products, in turn.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands set it, before torch is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import lightning as L
import peers
import report
import torch

from mnist_mlp.config.compose import composed
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.run_length import run_length
from mnist_mlp.engine.chunked_length import in_chunks
from mnist_mlp.engine.chunks import Chunk
from mnist_mlp.engine.hand_written_step import HandWrittenStep
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.member import Member
from mnist_mlp.engine.stack import MAX_IMAGES_PER_STEP, even_parts
from mnist_mlp.extras.stacked_launcher.grouping import cores
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import directories

RATES = ["1e-4", "3e-4", "1e-3", "3e-3"]
WIDTHS = [784, 128, 64, 10]
JAX_SIZES = (4, 16, 32)
"""networks that JAX trains at once; the fastest counts"""
IMAGES = 55_000
EPOCHS_BY_HAND = 5
"""of the loop by hand in each round; one more, the first, is left out"""


def words(batch_size: int, epochs: int) -> list[str]:
    """Of one job, but for its learning rate and its seed."""
    return [
        f"data.batch_size={batch_size}",
        f"trainer.max_epochs={epochs}",
        "augment=none",
        "trainer.accelerator=cpu",
        "trainer.enable_progress_bar=false",
    ]


@dataclass(frozen=True)
class Cost:
    wall: float
    """seconds"""
    cpu: float
    """seconds of all cores together, which other programs disturb less"""

    def __truediv__(self, count: float) -> Cost:
        return Cost(self.wall / count, self.cpu / count)


def cost_of(work: Callable[[], object]) -> Cost:
    began = time.perf_counter(), cpu_seconds()
    work()
    return Cost(time.perf_counter() - began[0], cpu_seconds() - began[1])


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def sweep(launcher: str, batch_size: int, given: argparse.Namespace, directory: Path) -> Cost:
    """Of the whole command, for one network and one epoch."""
    varied = [f"optimizer.lr={','.join(RATES)}", f"seed=range({given.seeds})"]
    command = [sys.executable, "src/train.py", "-m", f"hydra/launcher={launcher}", f"hydra.sweep.dir={directory}"]
    command += [*words(batch_size, given.epochs), *varied]
    cost = cost_of(lambda: subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL))
    return cost / (len(RATES) * given.seeds * given.epochs)


class Products:
    """The matrix products of the training steps of one stack, into memory that is there already."""

    def __init__(self, networks: int, batch_size: int) -> None:
        pairs = list(itertools.pairwise(WIDTHS))
        self.ahead, self.back = ([torch.randn(networks, batch_size, width) for width in WIDTHS] for _ in range(2))
        self.weights, self.gradients = ([torch.randn(networks, out, into) for into, out in pairs] for _ in range(2))

    def multiply(self, steps: int) -> None:
        layers = range(len(self.weights))
        for _ in range(steps):
            for layer in layers:
                torch.bmm(self.ahead[layer], self.weights[layer].mT, out=self.ahead[layer + 1])
            for layer in reversed(layers):
                torch.bmm(self.back[layer + 1].mT, self.ahead[layer], out=self.gradients[layer])
                if layer > 0:
                    torch.bmm(self.back[layer + 1], self.weights[layer], out=self.back[layer])


def products_of_all(networks: int, batch_size: int, steps: int) -> Cost:
    """Of the products of `steps` training steps, the networks shared out to the cores."""
    parts = [Products(len(part), batch_size) for part in even_parts(range(networks), cores())]
    with ThreadPoolExecutor(len(parts), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return cost_of(lambda: list(pool.map(lambda part: part.multiply(steps), parts)))


def step_in_products(batch_size: int, rounds: int = 15, steps: int = 40) -> float:
    """How many times the products of a stack its training step takes, both on one core, in turn: the median."""
    torch.set_num_threads(1)
    networks = max(1, MAX_IMAGES_PER_STEP // batch_size)
    configs = [composed(*words(batch_size, 1), f"seed={seed}") for seed in range(networks)]
    data = DigitsDataModule(configs[0])
    data.setup()
    trainer_config = configs[0].trainer
    planned = run_length(configs[0].data, trainer_config, data.sizes)
    length = in_chunks(planned, trainer_config.log_every_n_steps)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    members = []
    for config in configs:
        members.append(Member(Job(config=config, directory=Path()), DigitClassifier(config, data.spec), data, length))
        members[-1].join(trainer)
    stack = HandWrittenStep(members, length)
    count = batch_size * min(steps, length.chunk_steps)
    order = torch.stack([torch.randperm(len(data.parts["train"][1]))[:count] for _ in members])
    chunk = Chunk(data.parts["train"], order, batch_size)
    products = Products(len(members), batch_size)

    @torch.no_grad()
    def ratio() -> float:
        step = cost_of(lambda: stack.run(chunk, first_step=0))
        return step.wall / cost_of(lambda: products.multiply(len(chunk.sizes))).wall

    ratio()
    return statistics.median(ratio() for _ in range(rounds))


def furthest_validation_accuracy(one: Path, other: Path) -> float:
    """The largest difference of the final validation accuracy of a job between two sweeps, in points."""
    finals = [[job.result["history"][-1]["val/acc"] for job in directories.jobs(place)] for place in (one, other)]
    return max(100 * abs(a - b) for a, b in zip(*finals, strict=True))


def measure(batch_size: int, given: argparse.Namespace) -> str:
    """One row of the table."""
    networks = len(RATES) * given.seeds
    together, alone, floor, apart, by_hand = [], [], [], [], []
    loop = peers.ByHand(composed(*words(batch_size, 1)))
    jax = {size: peers.Jax(batch_size=batch_size, threads=cores(), networks=size) for size in given.jax_sizes}
    at_once: dict[int, list[float]] = {size: [] for size in jax}
    for turn in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            places = Path(folder, "stacked"), Path(folder, "basic")
            together.append(sweep("stacked", batch_size, given, places[0]))
            alone.append(sweep("basic", batch_size, given, places[1]))
            apart.append(furthest_validation_accuracy(*places))
        by_hand += loop(1 + EPOCHS_BY_HAND)[1:]
        for size, peer in jax.items():
            at_once[size] += [seconds / size for seconds in peer(1)]
        steps = -(-IMAGES // batch_size)
        tenth = steps // 10
        floor.append(products_of_all(networks, batch_size, tenth) / networks / (tenth / steps))
        print(f"batch {batch_size}, round {turn + 1}: {together[-1]} {alone[-1]} {floor[-1]}", flush=True)
    for peer in jax.values():
        peer.close()
    best = min(map(statistics.median, at_once.values()), default=float("nan"))
    cells = [str(batch_size)]
    for kind in ("wall", "cpu"):
        a, b, c = ([getattr(cost, kind) for cost in costs] for costs in (together, alone, floor))
        cells += [f"{statistics.median(values):.2f}" for values in (a, b, c)]
        cells.append(f"{statistics.median(y / x for x, y in zip(a, b, strict=True)):.1f}")
        cells.append(f"{statistics.median(x / z for x, z in zip(a, c, strict=True)):.1f}")
    cells += [f"{step_in_products(batch_size):.2f}", f"{max(apart):.2f}"]
    ours, hand = (statistics.median(values) for values in ([cost.wall for cost in together], by_hand))
    cells += [f"{hand:.2f}", f"{ours / hand:.2f}", f"{best:.2f}", f"{ours / best:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256, 1024])
    arguments.add_argument("--epochs", type=int, default=5)
    arguments.add_argument("--seeds", type=int, default=8, help="for each of 4 learning rates")
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--note", default="", help="what else the machine was doing")
    arguments.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "stacked.md")
    arguments.add_argument("--jax-sizes", type=int, nargs="*", default=JAX_SIZES if peers.has_jax() else ())
    given = arguments.parse_args()
    rows = [measure(batch_size, given) for batch_size in given.batch_sizes]
    lines = [
        "# A sweep side by side against one after another",
        "",
        report.machine(),
        "",
        f"{len(RATES) * given.seeds} jobs ({len(RATES)} learning rates, {given.seeds} seeds), 784-128-64-10, AdamW, "
        f"MNIST, {given.epochs} epochs, with logs, dashboards, checkpoints, calibration and test. Medians of "
        f"{given.rounds} round{'s' if given.rounds > 1 else ''}; in each the two commands run in turn."
        + (f" {given.note}" if given.note else ""),
        "",
        "Seconds are for one network and one epoch, of the whole command from Hydra to leaderboard: first by the",
        "clock, then of all cores together, which says more where other programs run too. *Products* are the matrix",
        "products of training alone. *Step / products*: of training steps alone, one stack on one core, in turn with",
        "its products. *Apart* is the largest difference of the final validation accuracy of a job, in points.",
        "*By hand* and *JAX* are an epoch of training one network, bare, by the clock: a loop in PyTorch, on one core",
        "as one network is trained here, and the fastest of several numbers of networks compiled together, on all",
        "cores. The stacked sweep uses all cores too.",
        "",
        "| batch | stacked | alone | products | alone / stacked | stacked / products "
        "| stacked, cores | alone, cores | products, cores | alone / stacked, cores | stacked / products, cores "
        "| step / products | apart | by hand | stacked / by hand | JAX | stacked / JAX |",
        "|" + " ---: |" * 17,
        *rows,
        "",
    ]
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
