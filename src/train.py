"""Train a network on handwritten digits: `python src/train.py 'model.hidden=[128,64]' trainer.accelerator=gpu`."""

from pathlib import Path

from mnist_mlp.cli.app import run_app
from mnist_mlp.cli.summary import summary
from mnist_mlp.config.schema import Config


def main(config: Config, run_directory: Path) -> None:
    from mnist_mlp.training import train  # here, as torch and lightning take seconds to import

    print(summary(train(config, run_directory)))


if __name__ == "__main__":
    run_app(main, config_name="train")
