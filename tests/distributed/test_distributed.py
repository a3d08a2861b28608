"""Several processes train one network to what one process would have made of it; torch, gloo and CPUs suffice."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed.run
from helpers.child_processes import children
from helpers.commands import Command
from helpers.commands import start_training as start
from helpers.commands import train as run
from helpers.kill_and_resume import configuration, difference
from helpers.standby import stand_by

from mnist_mlp.config.errors import ConfigError, DivergedError, Interrupted, ProcessError, UserError
from mnist_mlp.config.schema import PROJECT, Config
from mnist_mlp.distributed import launch
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.distributed.world import world
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.runs.signals import SIGNALS
from mnist_mlp.training import train

pytestmark = pytest.mark.engine  # engine=plain has one process

# 1,297 images in batches of 9 and a last one of 1: shares of 5 and 4, and of 1 and none.
UNEVEN = (
    *("data.batch_size=9", "data.val_size=4703", "model.hidden=[16]", "model.dropout=0", "trainer.max_epochs=2"),
    *("augment=affine", "trainer.precision=64-true"),  # Adam would make a visible difference of a rounding in 32 bits
)
TINY = [
    *("experiment=tiny", "trainer.log_every_n_steps=5", "model.dropout=0.2", "trainer.max_epochs=3"),
    *("checkpoint.every_seconds=0.05", "trainer=ddp"),
]
TRAIN = PROJECT / "src" / "train.py"


def result(directory: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((directory / directories.RESULT).read_text())
    return content


def left_behind(directory: Path) -> list[str]:
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    return [name.partition("tfevents")[0] for name in names]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("one")
    train(configuration(*UNEVEN), directory)
    return directory


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("two")
    dismiss = stand_by(1)
    train(configuration(*UNEVEN, "trainer=ddp"), directory)
    dismiss()
    return directory


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("alone")
    code, output = run(*TINY, f"hydra.run.dir={directory}", workers=1)
    assert code == 0, output
    return directory


@pytest.mark.slow
def test_two_processes_end_in_the_weights_of_one(one_process: Path, two_processes: Path) -> None:
    one, two = (
        checkpoint_file.read(path / directories.CHECKPOINTS / checkpoint_file.LAST)
        for path in (one_process, two_processes)
    )
    assert one["global_step"] == two["global_step"] == 2 * 145
    for name, weights in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], weights, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_two_processes_tell_the_metrics_of_one(one_process: Path, two_processes: Path) -> None:
    one, two = result(one_process), result(two_processes)
    assert two["metrics"] == pytest.approx(one["metrics"], rel=1e-6)
    sums = [
        checkpoint_file.read(path / directories.CHECKPOINTS / checkpoint_file.LAST)["epoch_log"]["sums"]["train/loss"]
        for path in (one_process, two_processes)
    ]
    assert sums[1] == pytest.approx(sums[0], rel=1e-6)  # from which a run goes on with another number of processes
    for ours, theirs in zip(two["history"], one["history"], strict=True):
        assert {**ours, "seconds": 0} == pytest.approx({**theirs, "seconds": 0}, rel=1e-6)


@pytest.mark.slow
def test_several_processes_take_the_hand_written_step_too(left_alone: Path) -> None:
    assert "trained by autograd" not in (left_alone / "train.log").read_text()


@pytest.mark.slow
def test_only_the_first_process_writes(one_process: Path, two_processes: Path) -> None:
    assert left_behind(two_processes) == left_behind(one_process)


def test_gradients_over_ranks_are_weighted_and_none_for_weights_that_the_loss_does_not_depend_on(
    tmp_path: Path,
) -> None:
    from mnist_mlp.engine.autograd_step import backward_over_ranks

    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        weight, unused, frozen = (torch.nn.Parameter(torch.tensor([[2.0]])) for _ in range(3))
        frozen.requires_grad_(False)
        weights = [unused, weight, frozen]
        assert backward_over_ranks(weight.sum() * frozen.sum(), 0.5, weights) == 2.0
        assert weight.grad == 1.0 and unused.grad is None and frozen.grad is None
        weight.grad = None
        assert backward_over_ranks(weight.new_tensor(float("nan")), 0.0, weights) == 0.0  # no image for this rank
        assert weight.grad is None  # where other ranks have images, theirs
    finally:
        torch.distributed.destroy_process_group()


# At its second checkpoint the first process gets a signal.
AT_SAVING = """
import os
from mnist_mlp.runs import checkpoint_file

put, saved = checkpoint_file.put, []

def put_and_signal(data, path):
    put(data, path)
    saved.append(path)
    if len(saved) == 2 and os.environ.get("RANK", "0") == "0":
        os.kill(os.getpid(), {number})

checkpoint_file.put = put_and_signal
"""


@pytest.mark.slow
def test_a_run_that_was_killed_and_then_stopped_resumes_to_the_same_bits(tmp_path: Path, left_alone: Path) -> None:
    directory = tmp_path / "run"
    for number, words in (
        (signal.SIGKILL, [*TINY, f"hydra.run.dir={directory}"]),
        (signal.SIGTERM, [f"resume={directory}"]),
    ):
        (tmp_path / "sitecustomize.py").write_text(AT_SAVING.format(number=int(number)))
        code, output = run(*words, modules=tmp_path, workers=1)
        if number == signal.SIGKILL:
            assert code == -number, output
            assert not (directory / directories.RESULT).exists()
    assert code == 143, output
    assert result(directory)["status"] == "interrupted"
    code, output = run(f"resume={directory}", workers=1)
    assert code == 0, output
    assert difference(directory, left_alone) is None


# What happens where a process would load the data.
AT_LOADING = """
import os
from mnist_mlp.data import synthetic
from mnist_mlp.config.errors import DataError

def draw(number, seed):
    {statement}

if os.environ.get("RANK", "0") in {ranks}:
    synthetic.draw = draw
"""


@pytest.mark.parametrize(
    ("ranks", "statement", "code", "said"),
    [
        ("1", "raise DataError('no images here')", 1, "train.py: process 1: no images here"),
        ("01", "raise DataError('no images here')", 1, "train.py: no images here"),
        (
            "1",
            "import signal; signal.raise_signal(15)",
            143,
            "Stopped by SIGTERM, before the first checkpoint. Continue with:\npython src/train.py resume={}",
        ),
    ],
)
@pytest.mark.slow
def test_what_ends_a_process_is_told_in_one_line(
    tmp_path: Path, ranks: str, statement: str, code: int, said: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(AT_LOADING.format(ranks=repr(ranks), statement=statement))
    directory = tmp_path / "run"
    ended, output = run(*TINY, f"hydra.run.dir={directory}", modules=tmp_path, workers=1)
    _, _, line = output.partition(f"\nrun directory    {directory}\n")
    assert (ended, line) == (code, f"{said.format(directory)}\n")
    assert result(directory)["status"] == ("interrupted" if code == 143 else "failed")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_process_that_a_signal_has_stopped_interrupts_the_run(number: int) -> None:
    ended: Any = SimpleNamespace(failures={0: SimpleNamespace(exitcode=128 + number, message="")})
    reason = launch._reason(ended)
    assert isinstance(reason, Interrupted) and reason.exit_code == 128 + number


@pytest.mark.slow
def test_a_mistake_of_ours_in_a_process_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(AT_LOADING.format(ranks="'1'", statement="return {}['images']"))
    code, output = run(*TINY, f"hydra.run.dir={tmp_path / 'run'}", modules=tmp_path, workers=1)
    assert code == 1
    assert output.count("Traceback") == 1
    assert output.count("train.py: process 1: KeyError: 'images'\n") == 1


def at_work(directory: Path) -> tuple[Command, int]:
    """Process 0 of a long run that has saved a checkpoint, and the id of process 1."""
    process = start(*TINY, "trainer.max_epochs=1000", f"hydra.run.dir={directory}", workers=1)
    while not (directory / directories.CHECKPOINTS / checkpoint_file.LAST).exists():
        assert process.poll() is None
        time.sleep(0.01)
    (child,) = children(process.pid)
    return process, child


@pytest.mark.slow
def test_a_process_that_dies_fails_the_run_instead_of_hanging(tmp_path: Path) -> None:
    process, child = at_work(tmp_path)
    os.kill(child, signal.SIGKILL)
    output = "".join(process.communicate())
    assert process.returncode == 1
    assert output.endswith("train.py: process 1 was ended by SIGKILL\n")
    assert "Traceback" not in output
    assert result(tmp_path)["status"] == "failed"


@pytest.mark.slow
def test_a_second_signal_ends_a_run_whose_other_process_hangs(tmp_path: Path) -> None:
    process, child = at_work(tmp_path)
    os.kill(child, signal.SIGSTOP)
    for _ in range(2):
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    os.kill(child, signal.SIGKILL)
    assert process.returncode == 143


# Process 1 dies where it would load the data, while process 0 waits for something else.
AT_LOADING_ALONE = """
import os, signal, time
from mnist_mlp.data import synthetic
from mnist_mlp.distributed import launch

def draw(number, seed):
    os.kill(os.getpid(), signal.SIGKILL) if os.environ.get("RANK") == "1" else time.sleep(60)

launch.GRACE_SECONDS = 0.1
synthetic.draw = draw
"""


@pytest.mark.slow
def test_a_process_that_dies_ends_one_that_does_not_notice(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(AT_LOADING_ALONE)
    directory = tmp_path / "run"
    code, output = run(*TINY, f"hydra.run.dir={directory}", modules=tmp_path, workers=1)
    assert code == 1
    assert output.splitlines()[-1] == "train.py: process 1 was ended by SIGKILL"
    assert result(directory)["status"] == "failed"


@pytest.mark.slow
def test_torchrun_starts_the_same_run(tmp_path: Path, left_alone: Path) -> None:
    torchrun = [torch.distributed.run.__file__, "--standalone", "--nproc-per-node=2"]
    started = Command(*torchrun, str(TRAIN), *TINY, f"hydra.run.dir={tmp_path}", workers=2, OMP_NUM_THREADS="1")
    output, error = started.communicate()
    assert started.returncode == 0, error
    assert output.count("test accuracy") == 1
    assert left_behind(tmp_path) == left_behind(left_alone)
    assert difference(tmp_path, left_alone) is None


@pytest.mark.parametrize("error", [ConfigError, DivergedError, ProcessError])
def test_a_job_that_ends_on_every_rank_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, error: type[UserError]
) -> None:
    job, trained = {"config": asdict(configuration()), "directory": "somewhere"}, []
    monkeypatch.setattr(launch, "receive_job", lambda store, number: job if number < 3 else None)
    monkeypatch.setattr(launch, "rendezvous_store", lambda: None)
    monkeypatch.setattr(launch, "process_group", lambda *_: nullcontext())

    def fail(config: Config, directory: Path) -> None:
        trained.append(directory)
        raise error("not this one")

    launch._train_jobs(fail)
    assert trained == [Path("somewhere")] * 2


@pytest.mark.slow
def test_a_sweep_of_runs_on_two_processes_each(tmp_path: Path) -> None:
    code, output = run("-m", *TINY, "trainer.max_epochs=1", "seed=0,1", f"hydra.sweep.dir={tmp_path}", workers=2)
    assert code == 0, output
    assert [job.status for job in directories.jobs(tmp_path)] == ["completed", "completed"]
    records = {".in_use", "multirun.yaml", "report.html", "sweep.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", *records}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainer.devices=0"], r"trainer\.devices: expected a number from 1, auto, or a list as \[0,1\], got 0"),
        (["trainer.num_nodes=2"], r"trainer\.num_nodes: several machines need torchrun or srun"),
        (
            ["trainer.devices=[-1]"],
            r"trainer\.devices: expected a number from 1, auto, or a list as \[0,1\], got \[-1\]",
        ),
        (["trainer.devices=[0,0]"], r"trainer\.devices: .* got \[0, 0\]"),
        (["trainer.devices=2", "engine=plain"], "engine: expected fast for 2 processes"),
        (["trainer.devices=4", "data.batch_size=3"], r"data\.batch_size: expected an image for each of the 4 proc"),
    ],
)
def test_impossible_numbers_of_processes_are_refused_by_name(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_machine(configuration(*words))


def test_processes_that_were_started_must_be_those_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PROCID": 5, "STEP_NUM_TASKS": 8, "LOCALID": 1, "STEP_NUM_NODES": 2}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert (world().rank, world().size, world().local_rank, world().local_size) == (5, 8, 1, 4)
    require_machine(configuration("trainer.devices=4", "trainer.num_nodes=2"))
    with pytest.raises(ConfigError, match="8 processes were started together, but 2 devices on each of 2 nodes"):
        require_machine(configuration("trainer.devices=2", "trainer.num_nodes=2"))
