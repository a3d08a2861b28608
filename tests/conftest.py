from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

PROJECT = Path(__file__).parents[1]  # not from our package: a copy without extras has to import its own

# The same examples everywhere, few, and however busy the machine is.
settings.register_profile("reproducible", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("reproducible")

gc.disable()  # until all tests are imported

# As after `source .venv/bin/activate`: commands to paste begin with `python`.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def pytest_configure() -> None:
    # A shell without job control ignores Ctrl-C for what it runs in the background, `nohup` ignores SIGHUP; commands
    # would inherit that.
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """As many as there are cores: one more would import everything once more, and wait for a core."""
    return os.cpu_count() or 1


def pytest_collection_finish() -> None:
    """Keep the garbage collector from traversing a million imported objects again and again."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: the last ones to be handed out should be short, or one process works on alone."""
    for folder in ("engine", "extras"):
        if not (PROJECT / "src" / "mnist_mlp" / folder).is_dir():
            for item in items:
                if item.get_closest_marker(folder) or folder == _engine_of(item):
                    item.add_marker(pytest.mark.skip(reason=f"{folder}/ was left out of this copy"))
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def _engine_of(item: pytest.Item) -> str | None:
    """`engine` for a test with the parameter `engine=fast`."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return "engine" if parameters.get("engine") == "fast" else None


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A copy of the project after `python src/train.py` as from a shell, made once for all processes that test.

    It has what the commands need, with outputs of its own, under a name with a space in it.
    """
    place = tmp_path_factory.getbasetemp()
    place = place.parent if "PYTEST_XDIST_WORKER" in os.environ else place
    copy, answer = place / "my project", place / "first_run.json"
    with FileLock(place / "first_run.lock"):
        if not answer.exists():
            for part in ("src", "configs", "docs/photos"):
                shutil.copytree(PROJECT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            words = [sys.executable, "src/train.py"]
            done = subprocess.run(words, cwd=copy, capture_output=True, text=True, timeout=250)
            answer.write_text(json.dumps([done.args, done.returncode, done.stdout, done.stderr]))
    return copy, subprocess.CompletedProcess(*json.loads(answer.read_text()))


@pytest.fixture(scope="session")
def default_run(first_run: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    """The directory of `python src/train.py`, trained on MNIST."""
    copy, done = first_run
    if "no whole copy of mnist could be found" in done.stderr:
        pytest.skip(done.stderr)
    return min((copy / "outputs" / "train").iterdir())
