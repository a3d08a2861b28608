"""Search for good settings: `python src/tune.py tune.trials=60 'optimizer.lr=tag(log,interval(1e-4,1e-1))'`."""

import sys
from pathlib import Path

from mnist_mlp.cli.app import run_app
from mnist_mlp.cli.exit_codes import exit_codes
from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.extras.tuning.command import searched_on_the_command_line


def main(config: TuneConfig, study_directory: Path) -> None:
    from hydra.core.hydra_config import HydraConfig

    from mnist_mlp.extras.tuning.search import search  # here, as torch takes seconds to import
    from mnist_mlp.extras.tuning.space import SearchSpace

    space = SearchSpace.of(config.tune.space, HydraConfig.get().overrides.task)
    report = search(config, study_directory, space)
    if report:  # empty in a helper: the process that started it prints the report
        print(report)


if __name__ == "__main__":
    with exit_codes():
        # `optimizer.lr=interval(...)` becomes a part of tune.space: Hydra would take it for a multirun.
        sys.argv[1:] = searched_on_the_command_line(sys.argv[1:])
    run_app(main, config_name="tune")
