"""`hydra/launcher=stacked` leaves the sweep that Hydra's own launcher leaves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.child_processes import children
from helpers.commands import Command, run
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode

from hydra_plugins import stacked as plugin
from mnist_mlp.config.schema import CONFIGS, PROJECT
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.runs import directories

pytestmark = pytest.mark.slow

TRAIN = PROJECT / "src" / "train.py"
SWEEP = [
    "data=synthetic",
    "threads=2",
    "model.hidden=[16],[8]",
    "model.loss=cross_entropy,mse",
    "trainer.precision=32-true,bf16-mixed",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=20",
    "trainer.limit_test_batches=1",
]


def sweep(directory: Path, *overrides: str) -> str:
    done = run(TRAIN, "-m", *overrides, f"hydra.sweep.dir={directory}", workers=2)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("sweeps") / "stacked"
    return directory, sweep(directory, "hydra/launcher=stacked", "hydra.sweeper.max_batch_size=4", *SWEEP)


def test_a_mixed_sweep_is_stacked_by_shape_and_what_cannot_be_stacked_runs_alone_with_the_reason(
    stacked: tuple[Path, str],
) -> None:
    directory, words = stacked
    for numbers in ("0, 2", "4, 6"):
        assert f"jobs {numbers}: 2 networks side by side" in words
    for number in (1, 3, 5, 7):
        assert f"job {number} runs alone: trainer.precision=bf16-mixed has no stacked form" in words
    jobs = directories.jobs(directory)
    assert [job.status for job in jobs] == [directories.COMPLETED] * 8
    assert [job.result["config"]["trainer"]["precision"] for job in jobs] == ["32-true", "bf16-mixed"] * 4
    assert not (directory / ".submitit").exists()  # the second batch of jobs was trained here too


@pytest.mark.parametrize(("seeds", "processes"), [("0,1", 1), ("range(7)", 3), ("range(400)", 64)])
def test_no_more_processes_start_than_there_can_be_stacks(
    seeds: str, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):  # Hydra executes its plugins once more
        monkeypatch.setattr(plugin, "Processes", counts.append)
        monkeypatch.setattr(plugin, "stacks_at_once", lambda _: 64)
        loader = GlobalHydra.instance().config_loader()
        words = ["hydra/launcher=stacked", "data=synthetic", f"seed={seeds}"]
        config = loader.load_configuration("train", words, run_mode=RunMode.MULTIRUN)
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        launcher = plugin.StackedLauncher(most=None, on="here")
        launcher.setup(hydra_context=context, task_function=lambda _: None, config=config)
    assert counts == [processes]


def test_the_results_are_those_of_the_basic_launcher(stacked: tuple[Path, str], tmp_path: Path) -> None:
    sweep(tmp_path / "basic", *SWEEP)
    for together, alone in zip(directories.jobs(stacked[0]), directories.jobs(tmp_path / "basic"), strict=True):
        assert together.result.keys() == alone.result.keys()
        assert together.result["config"] == alone.result["config"]
        assert together.result["metrics"] == pytest.approx(alone.result["metrics"], abs=2e-3)
        for name in ("config.yaml", "overrides.yaml"):
            left, right = ((job.directory / ".hydra" / name).read_text() for job in (together, alone))
            assert left == right
        assert (together.directory / "train.log").read_text().count("epoch   1/1") == 1


def test_a_job_is_predicted_from_as_a_single_run(stacked: tuple[Path, str]) -> None:
    assert Predictor.load(stacked[0] / "5").class_names == [str(digit) for digit in range(10)]


def test_a_stopped_sweep_is_finished(stacked: tuple[Path, str]) -> None:
    directory, _ = stacked
    for number in (0, 2, 4):  # as a kill before their first checkpoint would leave them
        (directory / str(number) / directories.RESULT).unlink()
        for path in (directory / str(number) / directories.CHECKPOINTS).iterdir():
            path.unlink()
    before = (directory / "6" / directories.RESULT).read_text()
    done = run(TRAIN, f"resume={directory}", workers=2)
    assert done.returncode == 0, done.stderr
    assert "jobs 0, 2: 2 networks side by side" in done.stdout
    assert "job 4 runs alone" in done.stdout
    assert (directory / "6" / directories.RESULT).read_text() == before
    assert [job.status for job in directories.jobs(directory)] == [directories.COMPLETED] * 8


def long_sweep(directory: Path) -> tuple[Command, list[int]]:
    """A long sweep of four jobs that trains, and the processes that train it."""
    words = ["hydra/launcher=stacked", "data=synthetic", "model.hidden=[8]", "seed=0,1,2,3", "threads=2"]
    long = ["trainer.max_epochs=1000", "trainer.limit_train_batches=10", "dashboard.snapshots=0"]
    process = Command(TRAIN, "-m", *words, *long, f"hydra.sweep.dir={directory}", workers=2)
    wait_for(lambda: all((directory / str(job) / directories.CHECKPOINTS / "last.ckpt").exists() for job in range(4)))
    workers = children(process.pid)
    assert len(workers) == 2
    return process, workers


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def statuses(directory: Path) -> list[str]:
    return [directories.read(directory / str(job)).status for job in range(4)]


def test_a_signal_stops_all_processes_which_save_first(tmp_path: Path) -> None:
    process, workers = long_sweep(tmp_path)
    process.send_signal(signal.SIGTERM)
    words = "".join(process.communicate())
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in words
    assert statuses(tmp_path) == [directories.INTERRUPTED] * 4
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_process_that_is_killed_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    process, workers = long_sweep(tmp_path)
    os.kill(workers[0], signal.SIGKILL)
    os.kill(workers[1], signal.SIGTERM)  # else it would train for long
    words = "".join(process.communicate())
    assert "jobs 0-1 are lost: their process ended with -9" in words
    assert statuses(tmp_path) == [
        directories.MISSING,
        directories.MISSING,
        directories.INTERRUPTED,
        directories.INTERRUPTED,
    ]


def test_the_processes_stop_where_the_first_one_is_no_more(tmp_path: Path) -> None:
    process, workers = long_sweep(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert statuses(tmp_path) == [directories.INTERRUPTED] * 4
