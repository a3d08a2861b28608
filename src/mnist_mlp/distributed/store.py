"""Store of torch that all ranks share: rank 0 sends each job through it, and each job has its own process group.

A job is JSON in the store. `broadcast_object_list` would unpickle it, and needs a process group, whose backend depends
on the configuration in the job.
"""

from __future__ import annotations

import functools
import json
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mnist_mlp.config.errors import ProcessError
from mnist_mlp.config.schema_trainer import TrainerConfig
from mnist_mlp.distributed.hardware import uses_cuda
from mnist_mlp.distributed.world import World, gpu_index, world

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

NO_TIMEOUT = timedelta(days=365)


@functools.cache
def rendezvous_store() -> Store:
    """The store of torchrun, of the first task of srun, or of rank 0: one for all jobs of a sweep."""
    from torch.distributed.rendezvous import rendezvous

    if "MASTER_ADDR" not in os.environ:
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = _slurm_address()
    return next(rendezvous("env://", world().rank, world().size))[0]  # type: ignore[no-any-return]


def _slurm_address() -> tuple[str, str]:
    """Host and port of the first task of this srun; the port differs between jobs and steps on one machine."""
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    nodes = os.environ.get("SLURM_STEP_NODELIST", os.environ["SLURM_JOB_NODELIST"])
    port = 15_000 + (int(os.environ["SLURM_JOB_ID"]) * 64 + int(os.environ["SLURM_STEP_ID"])) % 16_384
    return SLURMEnvironment.resolve_root_node_address(nodes), str(port)


def send_job(store: Store, job: dict[str, Any] | None) -> int:
    """Send the next job to the other ranks; None means that there are no more. Returns its number, from 1."""
    number = store.add("jobs", 1)
    store.set(f"job {number}", json.dumps(job))
    return number


def receive_job(store: Store, number: int) -> dict[str, Any] | None:
    """Wait for a job, without a timeout; None if there are no more, or rank 0 has ended."""
    from torch.distributed import DistError

    try:
        store.wait([f"job {number}"], NO_TIMEOUT)
        return json.loads(store.get(f"job {number}"))  # type: ignore[no-any-return]
    except DistError:
        return None


@contextmanager
def process_group(store: Store, number: int, here: World, trainer: TrainerConfig) -> Iterator[None]:
    """The process group of a job, on the same devices as in Lightning's trainer.

    Raises:
        ProcessError: a collective operation failed, as another rank left the block or died.
    """
    import torch
    from torch import distributed

    on_gpu = uses_cuda(trainer.accelerator)
    distributed.init_process_group(
        # On a GPU gloo too: the sums of losses are CPU tensors.
        backend="cpu:gloo,cuda:nccl" if on_gpu else "gloo",
        store=distributed.PrefixStore(f"group {number}", store),  # type: ignore[attr-defined]
        rank=here.rank,
        world_size=here.size,
        device_id=torch.device("cuda", gpu_index(trainer, here)) if on_gpu else None,
    )
    try:
        distributed.barrier()  # a rank that fails at once must not end before the others have connected to it
        yield
    except RuntimeError as error:
        # A failed collective operation, if the innermost frame is in torch.distributed.
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        if not frames[-1].f_globals["__name__"].startswith("torch.distributed."):
            raise
        raise ProcessError("another process of this run has ended") from error
    finally:
        distributed.destroy_process_group()
