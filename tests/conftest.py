from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

# The same examples everywhere, few, and however busy the machine is.
settings.register_profile("reproducible", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("reproducible")

# As after `source .venv/bin/activate`: commands to paste begin with `python`.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a third of the time of tests that start processes is waiting for them."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: the last ones to be handed out should be short, or one process works on alone."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of `python src/train.py`, trained on MNIST once for all processes that test."""
    from mnist_mlp import composed, train
    from mnist_mlp.config.errors import DataError

    place = tmp_path_factory.getbasetemp()
    place = place.parent if "PYTEST_XDIST_WORKER" in os.environ else place
    with FileLock(place / "default.lock"):
        if not (place / "default" / "result.json").exists():
            try:
                train(composed(), place / "default")
            except DataError as error:
                pytest.skip(str(error))
    return place / "default"
