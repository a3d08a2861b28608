"""Write an HTML page to draw digits on, with a trained network: `python src/demo.py checkpoint=<file or run>`."""

from pathlib import Path

from mnist_mlp.cli.app import run_app
from mnist_mlp.config.commands import TrainedConfig


def main(config: TrainedConfig, run_directory: Path) -> None:
    from mnist_mlp.extras.demo.build import demo

    print(demo(config, run_directory))


if __name__ == "__main__":
    run_app(main, config_name="demo")
