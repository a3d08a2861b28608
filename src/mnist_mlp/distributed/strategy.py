"""Strategy of Lightning for several ranks, without DistributedDataParallel: each trains on a part of every minibatch.

The gradient of the mean loss over a minibatch is the sum over the ranks of (gradient of the mean loss over their part)
x (size of the part / size of the minibatch): one sum over one flat tensor. DistributedDataParallel would average with
equal weights, which is wrong if the parts differ in size, and expects one backward pass per `training_step`, where the
engine makes many.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from mnist_mlp.config.schema_trainer import TrainerConfig
from mnist_mlp.distributed.hardware import uses_cuda, uses_mps
from mnist_mlp.distributed.world import World, gpu_index


def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum over all ranks, in place. A collective operation: every rank has to call it at the same point."""
    torch.distributed.all_reduce(values)
    return values


def wait_for_ranks(world: World) -> None:
    """Wait until every rank has come to this point."""
    if world.size > 1:
        torch.distributed.barrier()


def max_over_ranks(trainer: L.Trainer, value: float) -> float:
    """The largest value of any rank. A collective operation: every rank has to call it at the same point."""
    if trainer.world_size == 1:
        return value
    values = torch.tensor(float(value), device=trainer.strategy.root_device)
    torch.distributed.all_reduce(values, torch.distributed.ReduceOp.MAX)
    return float(values)


def device_arguments(trainer: TrainerConfig, world: World) -> dict[str, Any]:
    """Arguments `accelerator` and `devices` of lightning.Trainer for this rank, without `auto`.

    Lightning's own `auto` may choose a GPU that torch cannot use.
    """
    if uses_cuda(trainer.accelerator):
        return {"accelerator": "cuda", "devices": [gpu_index(trainer, world)]}
    return {"accelerator": "mps" if uses_mps(trainer.accelerator) else "cpu", "devices": 1}


class SharedMinibatches(DDPStrategy):
    """Strategy for ranks whose process group exists already, each with one device.

    DDPStrategy provides barriers, reductions and checkpoints on rank 0; how gradients are summed is replaced.
    """

    @property
    def root_device(self) -> torch.device:
        assert self.parallel_devices is not None
        return self.parallel_devices[0]

    def _configure_launcher(self) -> None:
        # Private names of Lightning. Its launcher would set the number of threads, and no public option leaves it out.
        self._launcher = None

    def configure_ddp(self) -> None:
        """Leave the module unwrapped: the engine's steps sum the gradients themselves."""


class WorldEnvironment(TorchElasticEnvironment):
    """Adapter from `World` to Lightning's interface, also for ranks that rank 0 or srun started."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def world_size(self) -> int:
        return self.world.size

    def global_rank(self) -> int:
        return self.world.rank

    def local_rank(self) -> int:
        return self.world.local_rank

    def node_rank(self) -> int:
        return self.world.rank // self.world.local_size
