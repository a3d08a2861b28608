"""Evaluate a trained network: `python src/evaluate.py checkpoint=<file or run directory>`."""

import os
import sys
from pathlib import Path

from mnist_mlp.cli.app import run_app
from mnist_mlp.config.commands import EvaluateConfig


def main(config: EvaluateConfig, directory: Path) -> None:
    from mnist_mlp.extras.evaluation.evaluate import evaluate  # here, as torch takes seconds to import

    print(evaluate(config, directory, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))


if __name__ == "__main__":
    run_app(main, config_name="evaluate")
