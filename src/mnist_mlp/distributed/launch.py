"""Launch of the ranks that train one network. Only rank 0 reads the command line and writes files.

On one machine rank 0 starts the other ranks. On several machines torchrun or srun starts all ranks, with the same
command. Ranks above 0 do not use Hydra, which would give each of them a run directory, and with `-m` a whole sweep.
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
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mnist_mlp.config import errors
from mnist_mlp.config.errors import ConfigError, DivergedError, Interrupted, ProcessError, UserError
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.store import NO_TIMEOUT, process_group, receive_job, rendezvous_store, send_job
from mnist_mlp.distributed.world import World, python_path, ranks_of_run, ranks_per_node, world

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]
    from torch.distributed.elastic.multiprocessing.api import RunProcsResult

# A rank has this long to notice the death of another one by itself; then it is killed.
GRACE_SECONDS = 10.0


@contextmanager
def launched(config: Config, directory: Path, on_rank_death: Callable[[str], None]) -> Iterator[World]:
    """Start the ranks above 0, unless torchrun or srun has started them; every rank runs the `with` block, with its own
    `World`.

    If a rank dies and this one hangs in a collective operation, `on_rank_death` is called with the reason, and this
    process ends.

    Raises:
        ProcessError: another rank failed or died.
        Interrupted: another rank was stopped by a signal.
    """
    job, here, ranks = {"config": asdict(config), "directory": str(directory)}, world(), ranks_per_node(config.trainer)
    if ranks_of_run(config.trainer) == 1:
        yield World()
    elif here.rank > 0:  # `train_jobs` has created the process group
        yield here
    else:
        opened: AbstractContextManager[Store]
        if here.size > 1:  # torchrun or srun has started all ranks
            opened = nullcontext(rendezvous_store())
        else:
            opened, here = _started(ranks, on_rank_death), World(size=ranks, local_size=ranks)
        with opened as store, process_group(store, send_job(store, job), here, config.trainer):
            yield here


@contextmanager
def _started(size: int, on_rank_death: Callable[[str], None]) -> Iterator[Store]:
    """Start ranks 1 to `size - 1`, which end with the block or with this process; yields the store of all ranks."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, start_processes

    listener = socket.create_server(("127.0.0.1", 0))  # torch's own would listen on all network interfaces
    port = listener.getsockname()[1]
    store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach())
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    common |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "PYTHONPATH": python_path()}
    # Without the stack of torch's C++ code, which a rank prints when this process is killed.
    common |= {"TORCH_CPP_LOG_LEVEL": os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR")}
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = ""  # our own handlers save a checkpoint first
    logging.getLogger("torch.distributed.elastic.multiprocessing").setLevel(logging.CRITICAL)  # one line is enough
    block_ended = threading.Event()

    def end_if_waiting(ended: Future[RunProcsResult | None]) -> None:
        """Another rank has ended. If the block of this rank does not end soon, it hangs in a collective operation with
        that rank: end this process too.
        """
        if not block_ended.wait(GRACE_SECONDS):
            on_rank_death(str(_reason(ended.result())))
            os._exit(1)

    with TemporaryDirectory() as files, ThreadPoolExecutor(1) as thread:
        ranks = start_processes(  # torch counts from 0: its process n is rank n + 1
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
            with suppress(TimeoutError):  # TimeoutError: no rank has ended, so it failed for another reason
                raise _reason(ended.result(GRACE_SECONDS)) from error
            raise
        finally:
            block_ended.set()
            send_job(store, None)
            with suppress(TimeoutError):
                ended.result(GRACE_SECONDS)
            ranks.close()


def _reason(ended: RunProcsResult | None) -> ProcessError | Interrupted:
    """The error of the rank that failed; torch ended the others after it."""
    assert ended is not None  # `wait` has no timeout
    rank, failure = next((child + 1, failure) for child, failure in ended.failures.items())
    if failure.exitcode in (129, 130, 143):  # SIGHUP, SIGINT, SIGTERM
        return Interrupted(failure.exitcode - 128)
    if failure.exitcode < 0:
        return ProcessError(f"process {rank} was ended by {failure.signal_name()}")
    if not isinstance(failure.message, dict):
        return ProcessError(f"process {rank} ended with {failure.exitcode}")
    name, _, line = failure.message["message"].partition(": ")
    return ProcessError(f"process {rank}: {line if hasattr(errors, name) else failure.message['message']}")


def train_jobs(train: Callable[[Config, Path], object]) -> int:
    """Main function of ranks above 0: call `train` for each job that rank 0 sends; returns the exit code."""
    from torch.distributed.elastic.multiprocessing.errors import record

    threading.Thread(target=_end_with_rank_0, daemon=True).start()
    try:
        record(_train_jobs)(train)
    except (UserError, Interrupted) as error:
        if "TORCHELASTIC_ERROR_FILE" not in os.environ:
            raise
        return error.exit_code  # rank 0 or torchrun prints the error in that file
    return 0


def _train_jobs(train: Callable[[Config, Path], object]) -> None:
    for number in itertools.count(1):
        if (job := receive_job(rendezvous_store(), number)) is None:
            return
        config = from_dict(job["config"], Config)
        # These errors end the job on every rank, and rank 0 reports them.
        job_ends = suppress(ConfigError, DivergedError, ProcessError)
        with job_ends, process_group(rendezvous_store(), number, world(), config.trainer):
            train(config, Path(job["directory"]))


def _end_with_rank_0() -> None:
    from torch.distributed import DistError

    with suppress(DistError):  # raised when the store ends, with rank 0 or with torchrun
        rendezvous_store().clone().wait(["never set"], NO_TIMEOUT)
    threading.main_thread().join(GRACE_SECONDS)
    os._exit(1)


def release_ranks() -> None:
    """End the ranks that torchrun or srun started: the command of rank 0 has completed or failed."""
    if world().rank == 0 and world().size > 1:
        send_job(rendezvous_store(), None)
