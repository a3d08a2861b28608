"""Strategy of Lightning for several ranks, without DistributedDataParallel: each takes its share of every minibatch.

The gradient of the mean loss over a minibatch is the sum over the ranks of (gradient of the mean loss over the own
share) x (size of the share / size of the minibatch), so one sum over one flat tensor gives exactly that, whatever the
sizes. DistributedDataParallel would average with equal weights, which is wrong for a last minibatch that does not
divide evenly, and it expects one backward pass for each call of `training_step`, where ours makes many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.nn import Parameter

from mnist_mlp.config.schema import TrainerConfig
from mnist_mlp.distributed.hardware import uses_cuda, uses_mps
from mnist_mlp.distributed.world import World, gpu_of


class SharedGradients:
    """The gradients of a network as views of one flat tensor, with a place for the loss behind them."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        trained = list(parameters)
        sizes = [parameter.numel() for parameter in trained]
        self.flat = torch.zeros(sum(sizes) + 1, dtype=trained[0].dtype, device=trained[0].device)
        pieces = zip(trained, self.flat[:-1].split(sizes), strict=True)
        self.views = [(parameter, piece.view_as(parameter)) for parameter, piece in pieces]

    def backward(self, loss: Tensor, share: float) -> Tensor:
        """From the mean loss over this rank's `share` (0 to 1) of a minibatch: gradients and loss of all of it."""
        self.flat.zero_()
        for parameter, view in self.views:
            parameter.grad = view  # Lightning takes gradients away before a validation
        if share > 0:  # else nothing of the minibatch came to this rank
            weighted = loss * share
            weighted.backward()  # type: ignore[no-untyped-call]
            self.flat[-1] = weighted.detach()
        torch.distributed.all_reduce(self.flat)
        return self.flat[-1].clone()


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
