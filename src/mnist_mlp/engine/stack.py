"""The stack: what Lightning trains, one module for M members, and one data module for all of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import Any, Protocol, runtime_checkable

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor
from torch.optim import Optimizer

from mnist_mlp.config.errors import Pruned, UserError
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.limits import limit_batches
from mnist_mlp.data.loader import EvaluationLoader, Part
from mnist_mlp.engine.autograd_step import AutogradStep
from mnist_mlp.engine.choose_step import obstacle
from mnist_mlp.engine.chunks import Chunk, ChunkLoader
from mnist_mlp.engine.cuda_graphs import recorder
from mnist_mlp.engine.known_hooks import refuse_unknown_hooks
from mnist_mlp.engine.loop_progress import set_progress
from mnist_mlp.engine.member import Member
from mnist_mlp.engine.run_length import RunLength
from mnist_mlp.engine.written_step import WrittenStep

log = logging.getLogger(__name__)


@runtime_checkable
class Saves(Protocol):
    def save_last(self, trainer: L.Trainer) -> None: ...


# Images in one step on the CPU: what it works on should stay in the cache of its core.
WORTH_STACKING = 1024


class Stack(L.LightningModule):
    """Members of one shape, trained in step. Whoever fails or stops early leaves; the others go on."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        # Plain objects, not submodules: what Lightning does with a module's weights, the members do for themselves.
        self.members = list(members)
        self.automatic_optimization = False
        self._steps: list[tuple[list[Member], WrittenStep | AutogradStep]] = []
        self._written: bool | None = None

    @property
    def training_members(self) -> list[Member]:
        return [member for member in self.members if member.training]

    @property
    def whole_members(self) -> list[Member]:
        """Those that have not failed."""
        return [member for member in self.members if member.error is None]

    def configure_optimizers(self) -> list[Optimizer]:
        for member in self.members:
            refuse_unknown_hooks(member.module, member.callbacks)
            member.join(self.trainer)
        return []

    def load_state_dict(self, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Nothing of its own: `restore` gives each member what it had."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.trainer.world_size > 1:  # one member, and all ranks have to ask; only the first of them saves
            log = self.members[0].train_log
            checkpoint["epoch_log"] = log.state_dict(world_size=self.trainer.world_size)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Once more, as a run that is lengthened stands elsewhere: no longer at its end, but perhaps inside an epoch.
        set_progress(checkpoint, self.members[0].length, checkpoint["global_step"])

    def on_fit_start(self) -> None:
        for member in self.members:
            if member.start is not None:
                member.restore(member.start)
                member.start = None

    def save_last(self, trainer: L.Trainer) -> None:
        """Save every member that trains, for a run that ends in the middle of an epoch."""
        for member in self.training_members:
            for callback in member.callbacks:
                if isinstance(callback, Saves):
                    callback.save_last(member.trainer)  # type: ignore[arg-type]

    def training_step(self, chunk: Chunk, chunk_index: int) -> dict[str, Tensor]:
        """One optimizer step of every member for each minibatch of the chunk."""
        members, first_step = self.training_members, self.global_step
        for member in members:
            member.outputs = {"losses": torch.empty(0)}
        if not members or not chunk.sizes:
            return {}
        for part, step in self._divided(members, chunk):
            rows = [self.members.index(member) for member in part]
            own = chunk if len(rows) == len(self.members) else chunk.of(rows)
            losses = step.run(own, first_step)
            for member, own_losses in zip(part, losses, strict=True):
                member.outputs = {"losses": own_losses}
        # Lightning's own counter of manual optimization, which `global_step` is read from.
        self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_by(len(chunk.sizes))
        for member in members:
            member.trainer.global_step = None
            try:
                member.refuse_infinite(member.outputs["losses"], first_step)
            except UserError as error:
                self.fail(member, error)
        return {}

    def _divided(self, members: Sequence[Member], chunk: Chunk) -> list[tuple[list[Member], Any]]:
        """The members with the steps that train them; divided anew whenever one has left, so that it costs nothing."""
        if sum(len(part) for part, _ in self._steps) == len(members):
            return self._steps
        if self._written is None:
            reason = obstacle(members, chunk)
            self._written = reason is None
            for member in members if reason else ():
                with member.own_log():
                    log.info("trained by autograd: %s", reason)
        if self._written:
            most = max(1, WORTH_STACKING // members[0].length.batch_size)
            parts = ceil(len(members) / most) if self.device.type == "cpu" else 1
            self._steps = [
                (part, WrittenStep(part, part[0].length, recorder(self.device))) for part in even_parts(members, parts)
            ]
        else:
            self._steps = [([member], AutogradStep(member)) for member in members]
        return self._steps

    def on_train_epoch_start(self) -> None:
        # Not at its end: a run that ended in the middle of an epoch, and is lengthened, goes on adding up.
        for member in self.training_members:
            member.train_log.reset()

    def on_validation_start(self) -> None:
        for member in self.training_members:
            member.module.eval()
            member.evaluation_log.reset()
            member.log_to(member.evaluation_log)

    def validation_step(self, batch: Part, batch_idx: int) -> None:
        for member in self.training_members:
            member.answer = member.module.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        for member in self.training_members:
            member.log_epoch(member.evaluation_log)
            member.log_to(member.train_log)
            member.module.train()

    def on_test_start(self) -> None:
        for member in self.whole_members:
            member.module.eval()
            member.evaluation_log.reset()
            member.log_to(member.evaluation_log)

    def test_step(self, batch: Part, batch_idx: int) -> None:
        for member in self.whole_members:
            member.answer = member.module.test_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        for member in self.whole_members:
            member.log_epoch(member.evaluation_log)

    def end_epoch(self, members: Sequence[Member]) -> None:
        for member in members:
            member.log_epoch(member.train_log)
            self.call_member(member, "on_train_epoch_end")

    def on_train_end(self) -> None:
        self._steps = []  # with recorded graphs, which would spoil the recording of a later run when they are freed

    def stop_members(self, *, at_epoch_end: bool = False) -> None:
        """Let those leave whose callbacks want to stop; in the middle of an epoch this ends the epoch for them."""
        for member in self.training_members:
            enough = self.trainer.current_epoch + at_epoch_end >= (member.config.trainer.min_epochs or 0)
            if member.trainer.should_stop and enough:
                if not at_epoch_end and member.train_log.sums:
                    self.end_epoch([member])
                self.call_member(member, "on_train_end")
                member.training = False
        if not self.training_members:
            self.trainer.should_stop = True

    def call(self, hook: str, *arguments: Any, members: Sequence[Member] | None = None, module: bool = True) -> None:
        for member in self.training_members if members is None else members:
            self.call_member(member, hook, *arguments, module=module)

    def call_member(self, member: Member, hook: str, *arguments: Any, module: bool = True) -> None:
        """In Lightning's order: callbacks, the module, and last the callbacks that save checkpoints."""
        ordered = sorted(member.callbacks, key=lambda callback: isinstance(callback, Checkpoint))
        last = sum(isinstance(callback, Checkpoint) for callback in ordered)
        try:
            with member.own_log():
                for callback in ordered[: len(ordered) - last]:
                    getattr(callback, hook)(member.trainer, member.module, *arguments)
                if module:
                    getattr(member.module, hook)(*arguments)
                for callback in ordered[len(ordered) - last :]:
                    getattr(callback, hook)(member.trainer, member.module, *arguments)
        except (UserError, Pruned) as error:
            self.fail(member, error)

    def fail(self, member: Member, error: UserError | Pruned) -> None:
        """End one member of several for an error that would end a run alone; the others go on."""
        if len(self.members) == 1:
            raise error
        member.fail(error)


class ChunkedData(L.LightningDataModule):
    """The parts of an ordinary data module, in chunks for training and in large batches for evaluation."""

    def __init__(self, datamodule: DigitsDataModule, length: RunLength, configs: Sequence[Config]) -> None:
        super().__init__()
        self.datamodule, self.length, self.config = datamodule, length, configs[0]
        self.seeds = [config.seed for config in configs]

    def train_dataloader(self) -> ChunkLoader:
        assert self.trainer is not None
        return ChunkLoader(
            self._on_device(self.datamodule.parts["train"]),
            length=self.length,
            seeds=self.seeds,
            first_step=self.trainer.global_step,
            same_order=bool(self.config.trainer.overfit_batches),
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )

    def val_dataloader(self) -> EvaluationLoader:
        return EvaluationLoader(self._own("val", self.config.trainer.limit_val_batches))

    def test_dataloader(self) -> EvaluationLoader:
        return EvaluationLoader(self._own("test", self.config.trainer.limit_test_batches))

    def _own(self, stage: str, limit: int | float) -> Part:
        """What this process evaluates, on the device: every image belongs to exactly one process."""
        assert self.trainer is not None
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        part = limited_part(self.datamodule.parts[stage], limit, self.config)
        images, labels = (values.tensor_split(world_size)[rank] for values in part)
        return self._on_device((images, labels))

    def _on_device(self, part: Part) -> Part:
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        return part[0].to(device), part[1].to(device)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches come out of tensors that are there already."""
        return batch


def limited_part(part: Part, limit: int | float, config: Config) -> Part:
    """The images of the first batches, as many as `limit` and `trainer.fast_dev_run` allow."""
    images, labels = part
    batches = ceil(len(images) / config.data.batch_size)
    few = int(config.trainer.fast_dev_run) if config.trainer.fast_dev_run else limit_batches(limit, batches)
    return images[: few * config.data.batch_size], labels[: few * config.data.batch_size]


def even_parts(members: Sequence[Any], parts: int) -> list[list[Any]]:
    """`members` in order, in `parts` lists whose lengths differ by one at most; none is empty."""
    parts = min(parts, len(members))
    bounds = [len(members) * part // parts for part in range(parts + 1)]
    return [list(members[begin:end]) for begin, end in pairwise(bounds)]
