"""What processes that train one network say to one another, at a key-value store that all of them reach.

The first of them (rank 0) speaks for all. Whoever has to end a job leaves word of the reason before leaving; the
others, whose next sum over all processes then breaks off, find it there and end for the same reason.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mnist_mlp.config.errors import Interrupted, ProcessError, UserError
from mnist_mlp.distributed.world import World, world

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

# Seconds that a process may take from closing its connections to its end.
TO_DIE = 2.0
A_LONG_TIME = timedelta(days=365)


class Team:
    """Meets at a key-value store that all processes reach: there the first one leaves word of each job."""

    def __init__(self, world: World, store: Store, children: Sequence[subprocess.Popen[bytes]] = ()) -> None:
        """`children`: the processes of rank 1, 2, ... where this one has started them."""
        self.world, self.store, self.children = world, store, children
        self._jobs = 0

    @classmethod
    def meet(cls) -> Team:
        """Join the processes that were started together with this one."""
        from torch.distributed.rendezvous import rendezvous

        here = world()
        if "MASTER_ADDR" not in os.environ:
            os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = _slurm_address()
        store, _, _ = next(rendezvous("env://", here.rank, here.size))
        return cls(here, store)

    def tell(self, job: dict[str, Any] | None) -> None:
        """Give the others a job, or None: there are no more."""
        self._jobs += 1
        self.store.set(f"job {self._jobs}", json.dumps(job))

    def hear(self) -> dict[str, Any] | None:
        """Wait for the next job, however long the first process takes.

        Raises:
            ProcessError: it is no more.
        """
        from torch.distributed import DistError

        self._jobs += 1
        name = f"job {self._jobs}"
        try:
            self.store.wait([name], A_LONG_TIME)
            job: dict[str, Any] | None = json.loads(self.store.get(name))
        except DistError as error:
            raise ProcessError("the first process is no more") from error
        return job

    @contextmanager
    def one_reason(self) -> Iterator[None]:
        """The block, which is the present job, ends on all processes for the reason of the first one that ends it.

        Raises:
            Interrupted: that one was stopped by a signal.
            ProcessError: it failed, with what it said, or is gone without a word.
        """
        try:
            yield
        except (Exception, Interrupted) as error:
            reason = self._reason(error)
            if reason is error:
                raise
            raise reason from error

    def _reason(self, error: BaseException) -> BaseException:
        """Why the job ends: for `error`, unless another process left word of its own reason before."""
        from torch.distributed import DistError

        try:
            word = self._word() if _broke_off(error) else self._leave_word(error)
        except DistError:
            return ProcessError("the first process is no more")
        if word is None:
            return ProcessError(self._missing())
        if word["rank"] == self.world.rank or isinstance(error, UserError):
            return error
        return Interrupted(word["signal"]) if word["signal"] else ProcessError(_told(word))

    def _leave_word(self, error: BaseException) -> dict[str, Any]:
        """The word that is there now: this process's, or that of another one which was first."""
        own = {
            "rank": self.world.rank,
            "said": str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}",
            "signal": error.exit_code - 128 if isinstance(error, Interrupted) else None,
        }
        word: dict[str, Any] = json.loads(self.store.compare_set(self._place_of_word(), "", json.dumps(own)))
        return word

    def _word(self) -> dict[str, Any] | None:
        place = self._place_of_word()
        return json.loads(self.store.get(place)) if self.store.check([place]) else None

    def _place_of_word(self) -> str:
        return f"end of job {self._jobs}"

    def _missing(self) -> str:
        """Which process is gone without a word."""
        until = time.monotonic() + TO_DIE
        while self.children and time.monotonic() < until:
            for rank, child in enumerate(self.children, start=1):
                if (code := child.poll()) is not None:
                    return _ending(rank, code)
            time.sleep(0.01)
        return "another of the processes that train together is no more"

    def last_word(self, rank: int, code: int) -> str:
        """Why the process `rank`, which ended with `code`, did so."""
        word = self._word()
        return _told(word) if word else _ending(rank, code)

    @contextmanager
    def group(self, accelerator: str) -> Iterator[None]:
        """The process group of the present job, for torch and Lightning to find."""
        import torch
        from torch import distributed

        on_gpu = accelerator != "cpu" and torch.cuda.is_available()
        distributed.init_process_group(
            backend="nccl" if on_gpu else "gloo",
            store=distributed.PrefixStore(f"group {self._jobs}", self.store),  # type: ignore[attr-defined]
            rank=self.world.rank,
            world_size=self.world.size,
            device_id=torch.device("cuda", self.world.local_rank) if on_gpu else None,
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()


def _told(word: dict[str, Any]) -> str:
    return f"process {word['rank']}: {word['said']}"


def _ending(rank: int, code: int) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return f"process {rank} {how}"


def _broke_off(error: BaseException) -> bool:
    """Whether an operation over all processes failed, as it does when one is gone: gloo raises plain RuntimeErrors."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, RuntimeError) and frames[-1].f_globals["__name__"].startswith("torch.distributed.")


def _slurm_address() -> tuple[str, str]:
    """Where the first task of this srun listens; another port for every job and step on the same machine."""
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    nodes = os.environ.get("SLURM_STEP_NODELIST", os.environ["SLURM_JOB_NODELIST"])
    port = 15_000 + (int(os.environ["SLURM_JOB_ID"]) * 64 + int(os.environ["SLURM_STEP_ID"])) % 16_384
    return SLURMEnvironment.resolve_root_node_address(nodes), str(port)
