"""Launch of the ranks that train one network; rank 0 alone reads the command line and writes files.

On one machine rank 0 starts the others itself; torchrun and srun start all of them, on any number of machines, with
the same command. The others never ask Hydra: it would give each of them a run directory, and under `-m` a whole sweep.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mnist_mlp.config import errors
from mnist_mlp.config.errors import DivergedError, Interrupted, ProcessError, UserError
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.store import A_LONG_TIME, give_job, meet, process_group, take_job
from mnist_mlp.distributed.world import ALONE, World, per_node, python_path, world

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]
    from torch.distributed.elastic.multiprocessing.api import RunProcsResult

# Seconds in which a rank may find out by itself that another one has died, before it is ended.
GRACE = 10.0


@contextmanager
def launched(config: Config, directory: Path, on_loss: Callable[[str], None]) -> Iterator[World]:
    """The ranks that `config` asks for are all in this block at the same time; yields the world of this one.

    Where a rank dies and this one waits for it for ever, `on_loss` gets the reason, and this process ends.
    """
    job, here = {"config": asdict(config), "directory": str(directory)}, world()
    if per_node(config.trainer) * config.trainer.num_nodes == 1:
        yield ALONE
    elif here.rank > 0:  # `train_jobs` has joined the process group
        yield here
    elif here.size > 1:
        with process_group(meet(), give_job(meet(), job), here, config.trainer):
            yield here
    else:
        here = World(size=per_node(config.trainer), local_size=per_node(config.trainer))
        with _started(here.size, on_loss) as store, process_group(store, give_job(store, job), here, config.trainer):
            yield here


@contextmanager
def _started(size: int, on_loss: Callable[[str], None]) -> Iterator[Store]:
    """The store of this process, rank 0, and of `size - 1` new ones, which end with the block or with this process."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, start_processes

    listener = socket.create_server(("127.0.0.1", 0))  # torch's own would listen to the whole network
    port = listener.getsockname()[1]
    store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach())
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    common |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "PYTHONPATH": python_path()}
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = ""  # ours save first
    logging.getLogger("torch.distributed.elastic.multiprocessing").setLevel(logging.CRITICAL)  # one line is enough
    parted = threading.Event()

    def end_if_waiting(ended: Future[RunProcsResult | None]) -> None:
        if not parted.wait(GRACE):
            on_loss(str(_reason(ended.result())))
            os._exit(1)

    with TemporaryDirectory() as files, ThreadPoolExecutor(1) as thread:
        ranks = start_processes(
            "ranks",
            sys.executable,
            args=dict.fromkeys(range(size - 1), ("-m", "mnist_mlp.cli.rank_worker")),
            envs={rank - 1: common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(1, size)},
            logs_specs=DefaultLogsSpecs(files),
        )
        ended = thread.submit(ranks.wait, period=0.05)
        ended.add_done_callback(end_if_waiting)
        try:
            yield store
        except ProcessError as error:
            with suppress(TimeoutError):  # no rank has ended: an operation failed by itself
                raise _reason(ended.result(GRACE)) from error
            raise
        finally:
            parted.set()
            give_job(store, None)
            with suppress(TimeoutError):
                ended.result(GRACE)
            ranks.close()


def _reason(ended: RunProcsResult | None) -> ProcessError | Interrupted:
    """Why the first rank failed that did: torch ends the others then."""
    assert ended is not None  # as `wait` is without a limit
    rank, failure = next((child + 1, failure) for child, failure in ended.failures.items())
    if failure.exitcode in (130, 143):
        return Interrupted(failure.exitcode - 128)
    if failure.exitcode < 0:
        return ProcessError(f"process {rank} was ended by {failure.signal_name()}")
    if not isinstance(failure.message, dict):
        return ProcessError(f"process {rank} ended with {failure.exitcode}")
    name, _, line = failure.message["message"].partition(": ")
    return ProcessError(f"process {rank}: {line if hasattr(errors, name) else failure.message['message']}")


def train_jobs(train: Callable[[Config, Path], object]) -> int:
    """On the ranks above 0: `train` what rank 0 gives until there is no more; the exit code of this process."""
    from torch.distributed.elastic.multiprocessing.errors import record

    threading.Thread(target=_end_with_rank_0, daemon=True).start()
    try:
        record(_train_jobs)(train)
    except (UserError, Interrupted) as error:
        if "TORCHELASTIC_ERROR_FILE" not in os.environ:
            raise
        return error.exit_code  # rank 0 or torchrun reads the file and says why
    return 0


def _train_jobs(train: Callable[[Config, Path], object]) -> None:
    for number in itertools.count(1):
        if (job := take_job(meet(), number)) is None:
            return
        config = from_dict(job["config"], Config)
        # The job of these errors is over on every rank, and rank 0 says why.
        with suppress(DivergedError, ProcessError), process_group(meet(), number, world(), config.trainer):
            train(config, Path(job["directory"]))


def _end_with_rank_0() -> None:
    from torch.distributed import DistError

    with suppress(DistError):  # the store ends with rank 0, or with torchrun
        meet().clone().wait(["never set"], A_LONG_TIME)
    threading.main_thread().join(GRACE)
    os._exit(1)


def release_ranks() -> None:
    """Let ranks that torchrun or srun started go: the command that rank 0 read is done, or was wrong."""
    if world().rank == 0 and world().size > 1:
        give_job(meet(), None)
