"""Hooks of Lightning, forwarded from the trainer of a stack to the module and the callbacks of each member.

Before a hook is forwarded, `self.log` of the members is set to where the values of this hook belong.
A module, a data module or a callback that overrides a hook which is not forwarded here is refused. So is a data module
whose loaders give other batches than the engine would make (see `loader_check`).
"""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import StochasticWeightAveraging

from mnist_mlp.callbacks.loop_progress import end_run
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.engine.loader_check import refuse_other_loaders
from mnist_mlp.engine.overrides import overrides
from mnist_mlp.engine.stack import Stack


class MemberHooks(L.Callback):
    """Callback of the stack that calls the same hook for each of its members."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def setup(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        for member in self.stack.members:
            refuse_unknown_hooks(member.module, member.datamodule, member.callbacks)
        if stage == "fit":
            first = self.stack.members[0]  # the others have the same class and the same images
            refuse_other_loaders(first.datamodule, first.length.batch_size, trainer)

    def on_fit_start(self, *_: Any) -> None:
        # `setup` of the callbacks is called here, not in `setup` above: a member gets its trainer only afterwards, in
        # `Stack.configure_optimizers`.
        self.stack.call("setup", "fit", module=False)
        self.stack.restore_members()
        self.stack.call("on_fit_start")

    def on_train_start(self, *_: Any) -> None:
        self.stack.call("on_train_start")
        self.stack.stop_members()

    def on_train_epoch_start(self, *_: Any) -> None:
        # Reset here, not at the end of the epoch: if `max_steps` ends a run within an epoch, and the run is lengthened
        # later, the sums continue, as Lightning does not call this hook again for that epoch.
        for member in self.stack.training_members:
            member.train_log.reset()
        self.stack.call("on_train_epoch_start")

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.stack.stop_members()
        # The weight of what these hooks log: the images of the chunk's last minibatch on this rank.
        images = batch.share_of_rank(batch.minibatches()[-1], dim=1).shape[1]
        for member in self.stack.training_members:
            member.train_log.batch_size = images
        # `AutogradStep` calls those of the module, and of `Member.with_batch_hooks`, for each minibatch of the chunk.
        step = trainer.global_step % self.stack.members[0].length.steps_per_epoch
        self.stack.call("on_train_batch_start", batch, step, by_chunk=True)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Lightning's own `max_steps` would leave out the validation after a last step within an epoch.
        if trainer.global_step >= self.stack.members[0].length.total_steps:
            end_run(trainer)
        step = (trainer.global_step - 1) % self.stack.members[0].length.steps_per_epoch
        for member in self.stack.training_members:
            self.stack.call_member(member, "on_train_batch_end", member.outputs, batch, step, by_chunk=True)
        self.stack.end_if_all_stop()

    def on_validation_start(self, *_: Any) -> None:
        for member in self.stack.training_members:
            member.begin_evaluation()
        self.stack.call("on_validation_start")

    def on_validation_epoch_start(self, *_: Any) -> None:
        self.stack.call("on_validation_epoch_start")

    def on_validation_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, *_: Any) -> None:
        self.stack.call("on_validation_batch_start", batch, batch_idx)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        for member in self.stack.training_members:
            self.stack.call_member(member, "on_validation_batch_end", member.evaluation_output, batch, batch_idx)

    def on_validation_epoch_end(self, *_: Any) -> None:
        self.stack.call("on_validation_epoch_end")
        for member in self.stack.training_members:
            member.log_epoch(member.evaluation_log)
            member.log_to(member.train_log)

    def on_validation_end(self, *_: Any) -> None:
        self.stack.call("on_validation_end")
        for member in self.stack.training_members:
            member.end_evaluation()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.stack.end_epoch(self.stack.training_members)
        self.stack.stop_members(at_epoch_end=True)

    def on_train_end(self, *_: Any) -> None:
        self.stack.call("on_train_end")

    def on_fit_end(self, *_: Any) -> None:
        self.stack.call("on_fit_end", members=self.stack.surviving_members)
        for member in self.stack.members:
            member.leave()

    def on_test_start(self, *_: Any) -> None:
        self.stack.call("setup", "test", members=self.stack.surviving_members, module=False)
        for member in self.stack.surviving_members:
            member.begin_evaluation()
        self.stack.call("on_test_start", members=self.stack.surviving_members)

    def on_test_epoch_end(self, *_: Any) -> None:
        self.stack.call("on_test_epoch_end", members=self.stack.surviving_members)
        for member in self.stack.surviving_members:
            member.log_epoch(member.evaluation_log)

    def on_test_end(self, *_: Any) -> None:
        self.stack.call("on_test_end", members=self.stack.surviving_members)


# `on_save_checkpoint` and `on_load_checkpoint` are called by `Member.checkpoint` and `Member.restore`.
FORWARDED = {name for name in vars(MemberHooks) if name.startswith("on_")} | {
    "on_save_checkpoint",
    "on_load_checkpoint",
}
MODULE_HOOKS = FORWARDED | {
    *("forward", "training_step", "validation_step", "test_step", "predict_step"),
    *("configure_optimizers", "load_from_checkpoint", "state_dict", "load_state_dict"),
}
DATA_MODULE_HOOKS = {
    *("prepare_data", "setup", "on_after_batch_transfer", "load_from_checkpoint", "from_datasets"),
    *("train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader"),  # see `loader_check`
}
CALLBACK_HOOKS = FORWARDED | {"state_dict", "load_state_dict", "state_key", "setup"}


def refuse_unknown_hooks(
    module: L.LightningModule, datamodule: L.LightningDataModule, callbacks: list[L.Callback]
) -> None:
    """Check that the engine calls every hook that the module, the data module and the callbacks override.

    A subclass that overrides `on_train_batch_start` or `on_train_batch_end` is trained by autograd. So override these
    two instead of editing them in `DigitClassifier`: the trial notices an edit only by its results (`choose_step`), and
    otherwise the hand-written step trains without it.

    Raises:
        ConfigError: one of them overrides a hook that only Lightning's own loop calls; a callback replaces the schedule
            of the learning rate; or the module makes the optimizer's steps itself.
    """
    if not module.automatic_optimization:
        raise ConfigError(
            f"{type(module).__name__}.automatic_optimization: engine=fast makes the steps of the optimizer itself, and "
            "expects True; engine=plain takes False too"
        )
    if any(isinstance(callback, StochasticWeightAveraging) for callback in callbacks):
        raise ConfigError(
            "StochasticWeightAveraging: engine=fast computes the learning rate itself, and this callback replaces it; "
            "expected engine=plain beside it, or averaging.decay=0.99 in its place"
        )
    for owner, base, known in [
        (module, L.LightningModule, MODULE_HOOKS),
        (datamodule, L.LightningDataModule, DATA_MODULE_HOOKS),
        *((c, L.Callback, CALLBACK_HOOKS) for c in callbacks),
    ]:
        hooks = {name for name in dir(base) if not name.startswith("_")} - known
        for name in sorted(hooks):
            if overrides(owner, base, name) and callable(getattr(base, name)):
                raise ConfigError(
                    f"{type(owner).__name__}.{name}: engine=fast does not call this method as Lightning's own loop "
                    "does; engine=plain does. docs/yours.md lists the hooks that it calls"
                )
