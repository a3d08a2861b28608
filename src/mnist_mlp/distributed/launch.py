"""The processes that train one network: how they start, meet and part.

The first of them (rank 0) reads the command line, writes every file, and tells the others what to train. On one
machine it starts them itself; torchrun and srun start all of them, on any number of machines, with the same command.
The others never ask Hydra: it would give each of them a run directory, and under `-m` a whole sweep, of its own.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from mnist_mlp.config.errors import DivergedError, Interrupted, ProcessError, UserError
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.store import Team
from mnist_mlp.distributed.world import ALONE, World, per_node, start, world

# Seconds in which a process whose partner has died may find that out by itself, before it is ended.
GRACE = 10.0

_team: Team | None = None  # of processes from outside, which stay together over all jobs of a sweep


@contextmanager
def together(config: Config, directory: Path, on_loss: Callable[[str], None]) -> Iterator[World]:
    """All processes that `config` asks for train in this block; the first one brings the others in.

    Where one of them dies and the rest cannot go on or fail by themselves, `on_loss` is told and this process ends.
    """
    global _team
    if per_node(config.trainer) * config.trainer.num_nodes == 1:
        yield ALONE
        return
    if world().size > 1:
        _team = _team or Team.meet()
        with _begun(_team, config, directory):
            yield _team.world
    else:
        with _started(per_node(config.trainer), on_loss) as team, _begun(team, config, directory):
            yield team.world


@contextmanager
def _begun(team: Team, config: Config, directory: Path) -> Iterator[None]:
    from torch.distributed import barrier

    if team.world.rank == 0:
        team.tell({"config": asdict(config), "directory": str(directory)})
    with team.group(config.trainer.accelerator), team.one_reason():
        barrier()  # one that fails at once must not be gone before all others have connected to it
        yield


@contextmanager
def _started(size: int, on_loss: Callable[[str], None]) -> Iterator[Team]:
    """A team of this process and of `size - 1` new ones, which end with the block, or with this process."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    environment = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is there: rank 0 is not to open one
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
    }
    children = [
        start("mnist_mlp.distributed.rank_worker", **environment, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank in range(1, size)
    ]
    team = Team(World(rank=0, size=size, local_rank=0, local_size=size), store, children)
    parted = threading.Event()
    for rank, child in enumerate(children, start=1):
        threading.Thread(target=_watch, args=(team, rank, child, parted, on_loss), daemon=True).start()
    try:
        yield team
    finally:
        parted.set()
        team.tell(None)
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
            child.wait()


def _watch(
    team: Team, rank: int, child: subprocess.Popen[bytes], parted: threading.Event, on_loss: Callable[[str], None]
) -> None:
    code = child.wait()
    if not parted.wait(GRACE):
        on_loss(team.last_word(rank, code))
        os._exit(1)


def follow(train: Callable[[Config, Path], object]) -> int:
    """`train` what the first process says until it says no more; the exit code of this process."""
    global _team
    _team = Team.meet()
    while (job := _team.hear()) is not None:
        try:
            train(from_dict(job["config"], Config), Path(job["directory"]))
        except (DivergedError, ProcessError):  # the job is over for every process, and the first one tells why
            continue
        except (UserError, Interrupted) as error:  # the first process tells of these too
            return error.exit_code
    return 0


def dismiss() -> None:
    """Let processes from outside go: the command that the first one read is done, or was wrong."""
    here = world()
    if here.rank == 0 and here.size > 1:
        (_team or Team.meet()).tell(None)
