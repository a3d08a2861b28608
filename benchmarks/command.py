"""Whole commands, timed from outside: help, a misspelt key, the default run, and the usual Lightning project.

`python benchmarks/command.py` writes results/command.md: wall-clock seconds and peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import report

PROJECT = Path(__file__).parents[1]
TRAIN = [sys.executable, str(PROJECT / "src" / "train.py")]
USUAL = str(PROJECT / "benchmarks" / "usual_way.py")
# What no run can do without: the libraries, and the training images in memory.
IMPORTS = (
    "import sys; sys.path.insert(0, sys.argv[1])\n"
    "import lightning, torch, torchmetrics\n"
    "from pathlib import Path\n"
    "from mnist_mlp.data.mnist import MNIST\n"
    "data = MNIST.load_from(Path(sys.argv[2]))"
)


@dataclass
class Measured:
    seconds: float
    peak: float
    """MiB, the largest resident set"""
    output: str


def measure(command: list[str]) -> Measured:
    began = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}  # usual_way.py imports mnist_mlp
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    return Measured(time.perf_counter() - began, usage.ru_maxrss / 1024, output)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "`train.py --help`": lambda seed: [*TRAIN, "--help"],
            "`train.py optimizr.lr=1e-3` (misspelt)": lambda seed: [*TRAIN, "optimizr.lr=1e-3"],
            "import torch, lightning; read MNIST": lambda seed: [
                *[sys.executable, "-c", IMPORTS, str(PROJECT / "src"), str(PROJECT / "data")]
            ],
            "`train.py`, seeds 0, 1, ...": lambda seed: [*TRAIN, f"seed={seed}", f"hydra.run.dir={folder}/{seed}"],
            "the usual project, 10 epochs": lambda seed: [sys.executable, USUAL, str(seed)],
        }
        measured: dict[str, list[Measured]] = {name: [] for name in commands}
        for seed in range(given.rounds):
            for name, command in commands.items():
                measured[name].append(measure(command(seed)))
        results = [json.loads((Path(folder) / str(seed) / "result.json").read_text()) for seed in range(given.rounds)]
    accuracies = [result["metrics"]["test/acc"] for result in results]
    floor, default, theirs = (list(measured.values())[place] for place in (2, 3, 4))
    reached = [float(re.findall(r"test/acc\D+(0\.\d+)", run.output)[-1]) for run in theirs]
    rows = [
        (name, *_figures([run.seconds for run in runs]), max(run.peak for run in runs))
        for name, runs in measured.items()
    ]
    quotients = [
        f"Test accuracy: default run {_mean_and_deviation(accuracies)}, usual project {_mean_and_deviation(reached)}.",
        f"Usual project / default run: {statistics.median(r.seconds for r in theirs) / _median(default):.1f} in time.",
        f"Default run / imports and data: {max(r.peak for r in default) / max(r.peak for r in floor):.2f} in peak "
        f"memory, {_median(default) - _median(floor):.1f} s more in time.",
    ]
    head = ("command", "median (s)", "smallest", "largest", "peak memory (MiB)")
    report.write("command", "Whole commands", report.table(head, rows), "\n\n".join(quotients))


def _mean_and_deviation(accuracies: list[float]) -> str:
    deviation = f" ± {100 * statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    return f"{100 * statistics.mean(accuracies):.2f}{deviation} % ({len(accuracies)} seeds)"


def _median(runs: list[Measured]) -> float:
    return statistics.median(run.seconds for run in runs)


def _figures(seconds: list[float]) -> tuple[float, float, float]:
    return statistics.median(seconds), min(seconds), max(seconds)


if __name__ == "__main__":
    main()
