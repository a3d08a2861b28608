"""Strategy of Lightning for several ranks, without DistributedDataParallel: each takes its share of every minibatch.

The gradient of the mean loss over a minibatch is the sum over the ranks of (gradient of the mean loss over the own
share) x (size of the share / size of the minibatch), so one sum over one flat tensor gives exactly that, whatever the
sizes. DistributedDataParallel would average with equal weights, which is wrong for a last minibatch that does not
divide evenly, and it expects one backward pass for each call of `training_step`, where ours makes many.
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
from mnist_mlp.distributed.world import World, gpu_of


def sum_over_ranks(values: Tensor) -> Tensor:
    """The sum of what all ranks hold, in place; every one of them must ask at the same point."""
    torch.distributed.all_reduce(values)
    return values


def agree(trainer: L.Trainer, value: float) -> float:
    """The largest value that any rank gives; every one of them must ask at the same point."""
    if trainer.world_size == 1:
        return value
    values = torch.tensor(float(value), device=trainer.strategy.root_device)
    torch.distributed.all_reduce(values, torch.distributed.ReduceOp.MAX)
    return float(values)


def own_device(trainer: TrainerConfig, world: World) -> dict[str, Any]:
    """Accelerator and device of this rank for lightning.Trainer, whose own `auto` takes GPUs that torch cannot use."""
    if uses_cuda(trainer.accelerator):
        return {"accelerator": "cuda", "devices": [gpu_of(trainer, world)]}
    return {"accelerator": "mps" if uses_mps(trainer.accelerator) else "cpu", "devices": 1}


class SharedMinibatches(DDPStrategy):
    """Lightning's strategy for ranks that `launch` has brought together, each with its own device alone."""

    @property
    def root_device(self) -> torch.device:
        assert self.parallel_devices is not None
        return self.parallel_devices[0]

    def _configure_launcher(self) -> None:
        self._launcher = None  # Lightning's own would choose the number of threads anew

    def configure_ddp(self) -> None:
        pass  # `SharedGradients` sums the gradients


class KnownWorld(TorchElasticEnvironment):
    """The world as Lightning asks for it: also of one rank, and of ranks that srun or rank 0 has started."""

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
