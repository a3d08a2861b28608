"""What Lightning trains when it trains a stack: one module, one loader, and callbacks that hand on to the members'."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor
from torch.optim import Optimizer

from mnist_mlp.config.errors import UserError
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.loader import Chunk, TrainingLoader
from mnist_mlp.engine.member import Member
from mnist_mlp.engine.run_length import Budget
from mnist_mlp.engine.step import Stack
from mnist_mlp.extras.stacked_launcher.grouping import Job, even_parts, numbers

log = logging.getLogger(__name__)

# Images in one step on the CPU: what it works on should stay in the cache of its core.
WORTH_STACKING = 1024


class StackedDataModule(DigitsDataModule):
    """The same parts for all members, and each member's own order."""

    def __init__(self, dataset: Dataset, jobs: Sequence[Job]) -> None:
        config = jobs[0].config
        super().__init__(dataset, config.data, config.trainer, config.seed)
        self.seeds = [job.config.seed for job in jobs]

    def train_dataloader(self) -> Any:
        assert self.trainer is not None
        images, labels = self._on_device("train")
        first_step = self.trainer.global_step
        return StackedLoader(
            [
                TrainingLoader(
                    images, labels, budget=self.budget, seed=seed, first_step=first_step, same_order=self.overfits
                )
                for seed in self.seeds
            ]
        )


class StackedLoader:
    """The loaders of the members in step: one chunk of each."""

    def __init__(self, loaders: Sequence[TrainingLoader]) -> None:
        self.loaders = loaders
        self.sampler = self  # Lightning announces the epoch to `loader.sampler.set_epoch`

    def set_epoch(self, epoch: int) -> None:
        for loader in self.loaders:
            loader.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[tuple[Chunk, ...]]:
        return zip(*self.loaders, strict=True)


class StackedClassifiers(L.LightningModule):
    """On the CPU large batches are trained in several stacks, one after another; on a GPU all members are one stack."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        # Plain objects, not submodules: what Lightning does with a module's weights, the members do for themselves.
        self.members = list(members)
        self.automatic_optimization = False
        self.stop_requested = False  # set by `Interruption`; a stack ends its chunk first, so that all end in step
        self._stacks: list[tuple[list[Member], Stack]] = []

    @property
    def training_members(self) -> list[Member]:
        return [member for member in self.members if not member.failed]

    def configure_optimizers(self) -> list[Optimizer]:
        for member in self.members:
            member.join(self.trainer)
        return []

    def _divide(self) -> None:
        """Into stacks; again whenever a member has failed, so that it costs nothing any more."""
        members = self.training_members
        if sum(len(part) for part, _ in self._stacks) == len(members):
            return
        parts = 1
        if self.device.type == "cpu":
            most = max(1, WORTH_STACKING // members[0].classifier.budget.batch_size)
            parts = -(-len(members) // most)
        self._stacks = [
            (part, Stack([member.classifier for member in part], [member.optimizer for member in part]))
            for part in even_parts(members, parts)
        ]

    def training_step(self, chunks: Sequence[Chunk], chunk_index: int) -> dict[str, Tensor]:
        """One optimizer step of every member for each minibatch of the chunk."""
        first_step = self.global_step
        if not self.training_members or len(chunks[0].order) == 0:
            return {}
        self._divide()
        for members, stacked in self._stacks:
            losses, outputs = stacked.run([member.chunk for member in members], first_step)
            for member, own_losses, own_outputs in zip(members, losses, outputs, strict=True):
                member.take_steps(own_losses, own_outputs, first_step)
        steps = len(chunks[0].minibatches())
        self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_by(steps)
        for member in self.training_members:
            if member.diverged is not None:
                member.fail(member.diverged)
        return {}

    def on_train_epoch_start(self) -> None:
        for member in self.training_members:
            member.classifier.reset_train_metrics()

    def on_validation_epoch_start(self) -> None:
        for member in self.training_members:
            member.classifier.eval()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        for member in self.training_members:
            member.logits = member.classifier.validation_step(batch, batch_index)

    def on_validation_epoch_end(self) -> None:
        for member in self.training_members:
            member.trainer.callback_metrics |= member.classifier.evaluation("val")
            member.classifier.train()


class EachMember(L.Callback):
    """Hands what happens to the stack on to the callbacks of each member."""

    def chosen(self, member: Member) -> list[L.Callback]:
        return [callback for callback in member.callbacks if not isinstance(callback, Checkpoint)]

    def hand_on(
        self, hook: str, module: StackedClassifiers, arguments: Callable[[Member], tuple[Any, ...]] = lambda _: ()
    ) -> None:
        for member in module.training_members:
            for callback in self.chosen(member):
                if not member.failed:
                    member.call(hook, callback, *arguments(member))

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.hand_on("on_train_start", pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.hand_on("on_train_epoch_start", pl_module)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        for member, chunk in zip(pl_module.members, batch, strict=True):
            member.chunk, member.outputs = chunk, {"losses": torch.empty(0)}
        self.hand_on("on_train_batch_start", pl_module, lambda member: (member.chunk, batch_idx))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.hand_on("on_train_batch_end", pl_module, lambda member: (member.outputs, member.chunk, batch_idx))

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.hand_on("on_validation_batch_end", pl_module, lambda member: (member.logits, batch, batch_idx))

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.hand_on("on_validation_end", pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.hand_on("on_train_epoch_end", pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.hand_on("on_train_end", pl_module)


class EachMembersCheckpoints(EachMember, Checkpoint):
    """The same for those that Lightning calls after all others."""

    def __init__(self, members: Sequence[Member], budget: Budget) -> None:
        self.members, self.budget = members, budget

    def chosen(self, member: Member) -> list[L.Callback]:
        return [callback for callback in member.callbacks if isinstance(callback, Checkpoint)]

    def save_last(self, trainer: L.Trainer) -> None:
        for member in self.members:
            if not member.failed:
                try:
                    member.checkpoints.save_last(member.trainer)  # type: ignore[arg-type]
                except UserError as error:
                    member.fail(error)


class Told(L.Callback):
    """One line an epoch for the whole stack."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.words = f"jobs {numbers(jobs)}"

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        accuracies = [
            float(member.trainer.callback_metrics["val/acc"])
            for member in pl_module.training_members
            if "val/acc" in member.trainer.callback_metrics
        ]
        words = [f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}"]
        words.append(self.words)
        if accuracies:
            words.append(f"val acc {min(accuracies):.2%} to {max(accuracies):.2%}")
        log.info("   ".join([*words, f"{time.perf_counter() - self.began:.2f} s"]))
