"""Stack: the LightningModule that trains M members at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from torch import Tensor
from torch.optim import Optimizer

from mnist_mlp.callbacks.loop_progress import set_progress
from mnist_mlp.callbacks.model_checkpoint import Checkpointing
from mnist_mlp.config.errors import Pruned, UserError
from mnist_mlp.data.loader import Part
from mnist_mlp.engine.autograd_step import AutogradStep
from mnist_mlp.engine.choose_step import reason_for_autograd
from mnist_mlp.engine.chunks import Chunk
from mnist_mlp.engine.cuda_graphs import recorder_for
from mnist_mlp.engine.hand_written_step import HandWrittenStep
from mnist_mlp.engine.job import even_parts
from mnist_mlp.engine.member import Member
from mnist_mlp.engine.member_trainer import count_steps

log = logging.getLogger(__name__)


# Images of all members in one step on the CPU: a core's cache would not hold the activations of more. A larger stack
# makes its step in parts. `MOST_ON_A_CORE` of the stacked launcher limits the networks: their weights have to fit too.
MAX_IMAGES_PER_STEP = 1024


class Stack(L.LightningModule):
    """Members of one shape. The optimizer steps are made for all of them together, a chunk of steps at a time.

    A member that fails or stops is removed. The others continue.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        # Not submodules: members move, save and restore their own weights.
        self.members = list(members)
        self.automatic_optimization = False
        self._steps: list[tuple[list[Member], HandWrittenStep | AutogradStep]] = []
        self._use_hand_written_step: bool | None = None

    @property
    def training_members(self) -> list[Member]:
        return [member for member in self.members if member.training]

    @property
    def surviving_members(self) -> list[Member]:
        """Members that have not failed."""
        return [member for member in self.members if member.error is None]

    def configure_optimizers(self) -> list[Optimizer]:
        for member in self.members:
            member.join(self.trainer)
        return []

    def load_state_dict(self, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Do nothing: `Member.restore` restores each member."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # With several ranks there is one member. Its sums are added over all ranks here, because every rank calls this
        # hook, and only rank 0 calls `Member.checkpoint`.
        if self.trainer.world_size > 1:
            first = self.members[0]
            checkpoint["epoch_log"] = first.train_log.state_dict(first.module, world_size=self.trainer.world_size)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Recomputed, because the resumed run may have more steps than before. A step that ended the shorter run may lie
        # within an epoch of the longer one.
        length = self.members[0].length
        set_progress(checkpoint, length, checkpoint["global_step"], steps_per_batch=length.chunk_steps)

    def restore_members(self) -> None:
        """Restore the members of a resumed stack from their checkpoints, once."""
        for member in self.members:
            if member.start is not None:
                member.restore(member.start)
                member.start = None

    def save_last(self, trainer: L.Trainer) -> None:
        """Save a checkpoint of every member that is training, for a run that is stopped within an epoch."""
        for member in self.training_members:
            for callback in member.callbacks:
                if isinstance(callback, Checkpointing):
                    with self.failing_alone(member):
                        callback.save_last(member.trainer)  # type: ignore[arg-type]

    def training_step(self, chunk: Chunk, chunk_index: int) -> dict[str, Tensor]:
        """Make one optimizer step of every member for each minibatch of the chunk."""
        members, first_step = self.training_members, self.global_step
        if not members:
            return {}
        for group, step in self._assign_steps(members, chunk):
            rows = [self.members.index(member) for member in group]
            own_chunk = chunk if len(rows) == len(self.members) else chunk.of(rows)
            with self._hooks_called(group):
                for member, losses in zip(group, step.run(own_chunk, first_step), strict=True):
                    member.outputs = {
                        "loss": losses[-1],
                        "losses": losses,
                        "images": chunk.order.shape[1],
                        "lr": member.last_lr,
                        "step_values": member.train_log.step_values,
                    }
        count_steps(self.trainer, first_step + len(chunk.sizes))
        for member in members:
            vars(member.trainer).pop("global_step", None)
        for member in self.training_members:
            with self.failing_alone(member):
                member.refuse_infinite(member.outputs["losses"], first_step)
        return {}

    @contextmanager
    def _hooks_called(self, group: Sequence[Member]) -> Iterator[None]:
        """For the steps of a group: by autograd it is one member, whose hooks are called; they may fail, and log."""
        if len(group) > 1:
            yield
        else:
            with self.failing_alone(group[0]), group[0].own_log_files():
                yield

    def _assign_steps(self, members: Sequence[Member], chunk: Chunk) -> list[tuple[list[Member], Any]]:
        """Groups of members, each with its step; kept between chunks, and computed again only if a member has left."""
        if sum(len(part) for part, _ in self._steps) == len(members):
            return self._steps
        if self._use_hand_written_step is None:
            reason = reason_for_autograd(members, chunk)
            self._use_hand_written_step = reason is None
            for member in members if reason else ():
                with member.own_log_files():
                    log.info("trained by autograd: %s", reason)
        if self._use_hand_written_step:
            most = max(1, MAX_IMAGES_PER_STEP // members[0].length.batch_size)
            parts = ceil(len(members) / most) if self.device.type == "cpu" else 1
            recorder = recorder_for(self.device) if self.trainer.world_size == 1 else None
            self._steps = [
                (part, HandWrittenStep(part, part[0].length, recorder)) for part in even_parts(members, parts)
            ]
        else:
            self._steps = [([member], AutogradStep(member)) for member in members]
        return self._steps

    def validation_step(self, batch: Part, batch_idx: int) -> None:
        for member in self.training_members:
            member.evaluation_log.batch_size = len(batch[1])
            member.evaluation_output = member.module.validation_step(batch, batch_idx)

    def test_step(self, batch: Part, batch_idx: int) -> None:
        for member in self.surviving_members:
            member.evaluation_log.batch_size = len(batch[1])
            member.evaluation_output = member.module.test_step(batch, batch_idx)

    def end_epoch(self, members: Sequence[Member]) -> None:
        for member in members:
            member.log_epoch(member.train_log)
            self.call_member(member, "on_train_epoch_end")

    def on_train_end(self) -> None:
        # Lets go of the CUDA graphs. They are in reference cycles, so their memory is freed by the `gc.collect` of
        # `cuda_graphs.record`, for the next stack.
        self._steps = []

    def stop_members(self, *, at_epoch_end: bool = False) -> None:
        """Remove members whose `should_stop` is set; within an epoch, end that epoch for them first."""
        for member in self.training_members:
            if self._stops(member, at_epoch_end):
                if not at_epoch_end and member.train_log.sums and not member.train_log.reported:
                    self.end_epoch([member])
                self.call_member(member, "on_train_end")
                member.training = False
        if not self.training_members:
            self.trainer.should_stop = True

    def end_if_all_stop(self) -> None:
        """After a chunk: if every member stops here, let Lightning validate, and end the epoch and the run."""
        if all(self._stops(member) for member in self.training_members):
            self.trainer.should_stop = True

    def _stops(self, member: Member, at_epoch_end: bool = False) -> bool:
        # Those of the trainer: with `min_steps` Lightning sets `min_epochs` to 1.
        min_epochs, min_steps = self.trainer.fit_loop.min_epochs or 0, member.config.trainer.min_steps or 0
        may_stop = self.trainer.current_epoch + at_epoch_end >= min_epochs and self.trainer.global_step >= min_steps
        return member.trainer.should_stop and may_stop

    def call(self, hook: str, *arguments: Any, members: Sequence[Member] | None = None, **options: bool) -> None:
        for member in self.training_members if members is None else members:
            self.call_member(member, hook, *arguments, **options)

    def call_member(
        self, member: Member, hook: str, *arguments: Any, module: bool = True, by_chunk: bool = False
    ) -> None:
        """Call a hook in Lightning's order: callbacks, the module, and last the callbacks that save checkpoints.

        At the end of an epoch, those that stop early come after the module too.

        Args:
            module: whether to call it for the module.
            by_chunk: leave out the module and `Member.with_batch_hooks`: `AutogradStep` calls their hooks.
        """
        module = module and not by_chunk
        called = [callback for callback in member.callbacks if not (by_chunk and callback in member.with_batch_hooks)]
        after_module = (EarlyStopping, Checkpoint) if hook == "on_train_epoch_end" else Checkpoint
        first = [callback for callback in called if not isinstance(callback, after_module)]
        last = [callback for callback in called if isinstance(callback, after_module)]
        member.train_log.in_step = hook.startswith("on_train_batch_")
        try:
            with self.failing_alone(member), member.own_log_files():
                for callback in first:
                    getattr(callback, hook)(member.trainer, member.module, *arguments)
                if module:
                    getattr(member.module, hook)(*arguments)
                if hook == "on_train_epoch_end":
                    member.log_epoch(member.train_log)  # again, with what was logged in this hook
                    member.train_log.reported = True
                for callback in last:
                    getattr(callback, hook)(member.trainer, member.module, *arguments)
        finally:
            member.train_log.in_step = False

    @contextmanager
    def failing_alone(self, member: Member) -> Iterator[None]:
        """A UserError or `Pruned` in the block ends this member; the others continue."""
        try:
            yield
        except (UserError, Pruned) as error:
            if len(self.members) == 1:
                raise
            member.fail(error)
