"""What several processes that train one network do together at each step.

Each takes its share of every minibatch. The gradient of the mean loss over a minibatch is the sum over the processes
of (gradient of the mean loss over the own share) x (size of the share / size of the minibatch), and one sum over one
flat tensor gives exactly that, whatever the sizes. Lightning's wrapper, DistributedDataParallel, would average with
equal weights, which is wrong for a last minibatch that does not divide evenly, and it expects one backward pass for
each call of `training_step`, where ours makes many; so its strategy is used without the wrapper.
"""

from __future__ import annotations

from collections.abc import Iterable

import lightning as L
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.nn import Parameter

from mnist_mlp.distributed.world import World


class SharedGradients:
    """The gradients of a network as views of one flat tensor, with a place for the loss behind them."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        trained = list(parameters)
        sizes = [parameter.numel() for parameter in trained]
        self.flat = torch.zeros(sum(sizes) + 1, dtype=trained[0].dtype, device=trained[0].device)
        pieces = zip(trained, self.flat[:-1].split(sizes), strict=True)
        self.views = [(parameter, piece.view_as(parameter)) for parameter, piece in pieces]

    def backward(self, loss: Tensor, share: float) -> Tensor:
        """From the mean loss over this process's `share` (0 to 1) of a minibatch: gradients and loss of all of it."""
        self.flat.zero_()
        for parameter, view in self.views:
            parameter.grad = view  # Lightning takes gradients away before a validation
        if share > 0:  # else nothing of the minibatch came to this process
            weighted = loss * share
            weighted.backward()  # type: ignore[no-untyped-call]
            self.flat[-1] = weighted.detach()
        torch.distributed.all_reduce(self.flat)
        return self.flat[-1].clone()


def agree(trainer: L.Trainer, value: float) -> float:
    """The largest value that any process gives; every one of them must ask at the same point."""
    if trainer.world_size == 1:
        return value
    values = torch.tensor(float(value), device=trainer.strategy.root_device)
    torch.distributed.all_reduce(values, torch.distributed.ReduceOp.MAX)
    return float(values)


class SharedMinibatches(DDPStrategy):
    """Lightning's strategy for several processes, without its wrapper and without its launcher."""

    def _configure_launcher(self) -> None:
        self._launcher = None

    def configure_ddp(self) -> None:
        pass  # `SharedGradients` sums the gradients


class KnownWorld(ClusterEnvironment):
    """Tells Lightning of the processes that `mnist_mlp.distributed.launch` brought together."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        raise AssertionError("the process group exists before Lightning asks")

    @property
    def main_port(self) -> int:
        raise AssertionError("the process group exists before Lightning asks")

    @staticmethod
    def detect() -> bool:
        return True

    def world_size(self) -> int:
        return self.world.size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self.world.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self.world.local_rank

    def node_rank(self) -> int:
        return self.world.rank // self.world.local_size
