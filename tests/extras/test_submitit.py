"""The jobs of a sweep as processes of their own: told of when they die, and going on when they are sent back."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from helpers.commands import Command
from helpers.commands import start_training as start
from helpers.commands import train as run
from helpers.kill_and_resume import difference

from mnist_mlp.distributed import hardware
from mnist_mlp.runs import checkpoint_file, directories

LONG_ENOUGH = ("experiment=tiny", "trainer.max_epochs=30", "checkpoint.every_seconds=0.1", "model.dropout=0.2")

# Of a job that was killed submitit hopes for a result for 15 seconds.
IMPATIENT = "import submitit; submitit.Job._results_timeout_s = 0.5"


def process_of(job: Path, sweep: Command) -> int:
    """The process that trains, once it has saved something; TensorBoard has it in the name of its file."""
    while not (job / directories.CHECKPOINTS / checkpoint_file.LAST).exists():
        assert sweep.poll() is None
        time.sleep(0.01)
    (events,) = (job / "tensorboard").rglob("events*")
    return int(events.name.split(".")[-2])


@pytest.mark.slow
def test_a_preempted_job_goes_on_exactly_and_a_killed_one_is_told_of(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="needs the extra `cluster`")
    sweep = tmp_path / "sweep"
    (tmp_path / "sitecustomize.py").write_text(IMPATIENT)
    words = ("-m", *LONG_ENOUGH, "hydra/launcher=submitit_local", "seed=0,1", f"hydra.sweep.dir={sweep}")
    process = start(*words, "hydra.sweep.subdir=jobs/${hydra:job.num}", modules=tmp_path, workers=2, below=2)
    os.kill(process_of(sweep / "jobs" / "0", process), signal.SIGUSR2)  # what submitit has SLURM send
    os.kill(process_of(sweep / "jobs" / "1", process), signal.SIGKILL)
    output = "".join(process.communicate())
    assert process.returncode == 1, output
    assert "job 1 ended without a result" in output
    assert [job.status for job in directories.jobs(sweep)] == ["completed", "no result"]
    assert {path.name for path in sweep.iterdir() if path.is_dir()} == {"jobs", ".submitit"}
    assert any("Requeued job" in log.read_text() for log in sweep.glob(".submitit/*/*_log.*"))

    alone = tmp_path / "alone"
    assert run(*LONG_ENOUGH, "seed=0", f"hydra.run.dir={alone}")[0] == 0
    assert difference(sweep / "jobs" / "0", alone) is None

    code, output = run(f"resume={sweep}", workers=1, below=1)
    assert code == 0, output
    assert [job.status for job in directories.jobs(sweep)] == ["completed", "completed"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("srun") is not None, reason="SLURM is here")
def test_slurm_that_is_not_here_is_refused_before_any_work(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="needs the extra `cluster`")
    code, output = run("-m", "seed=0,1", "hydra/launcher=submitit_slurm", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert (code, output.count("\n")) == (2, 1)
    assert "expected SLURM's commands on this machine, found no srun" in output
    assert not (tmp_path / "sweep").exists()


def test_a_job_has_the_cores_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    large = {"batch_size": 1024, "parameters": 100_000}
    assert hardware.cpu_threads(**large) == 16
    assert hardware.cpu_threads(**large, processes=4) == 4
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert hardware.cpu_threads(**large) == 3
