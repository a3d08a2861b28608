"""Training step by autograd: the module's own `training_step`, for anything that the hand-written step cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn
from torchmetrics import MetricCollection

from mnist_mlp.callbacks.history import loss_of
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.data.loader import Batch
from mnist_mlp.distributed.strategy import sum_over_ranks
from mnist_mlp.engine.chunks import Chunk
from mnist_mlp.engine.member_trainer import count_steps

if TYPE_CHECKING:
    from mnist_mlp.engine.member import Member


class AutogradStep:
    """The optimizer step of Lightning's own loop, with the hooks of one module, of its data module, and of
    `Member.with_batch_hooks`.
    """

    def __init__(self, member: Member) -> None:
        self.member = member
        self.clip_val = member.config.trainer.gradient_clip_val
        by_norm, by_value = nn.utils.clip_grad_norm_, nn.utils.clip_grad_value_
        algorithms: dict[str, Callable[..., object]] = {"norm": by_norm, "value": by_value}
        self.clip = algorithms[member.config.trainer.gradient_clip_algorithm]
        # Callbacks that save checkpoints come last; at the end of a batch even after the module, unlike in Lightning.
        # So they save the EMA of this step.
        self._end_before_module = [one for one in member.with_batch_hooks if not isinstance(one, Checkpoint)]
        self._end_after_module = [one for one in member.with_batch_hooks if isinstance(one, Checkpoint)]

    def run(self, chunk: Chunk, first_step: int) -> Tensor:
        """Make one optimizer step for each minibatch of the chunk; returns the losses `(1, steps)`."""
        minibatches = enumerate(chunk.minibatches(), start=first_step)
        with _updated_at_once(self.member.module.metrics_of("train")):
            losses = torch.stack([self._step(chunk, indices[0], step) for step, indices in minibatches])
        self.member.train_log.add_up()
        return losses.unsqueeze(0)

    def _step(self, chunk: Chunk, minibatch: Tensor, step: int) -> Tensor:
        """Make one step on this rank's share of a minibatch; returns the loss of the whole minibatch."""
        member = self.member
        module, optimizer = member.module, member.optimizer
        member.trainer.global_step = step
        if member.with_batch_hooks:  # which may save a checkpoint
            count_steps(member.trainer.stack_trainer, step)
        whole = chunk.images.index_select(0, minibatch), chunk.labels.index_select(0, minibatch)
        # Every rank augments the whole minibatch, so that the noise of an image does not depend on the world size.
        images, labels = member.datamodule.on_after_batch_transfer(whole, 0)
        own_labels = chunk.share_of_rank(labels)
        batch, batch_idx = (chunk.share_of_rank(images), own_labels), step % member.length.steps_per_epoch
        member.train_log.batch_size, member.train_log.in_step = len(own_labels), True
        for callback in [*self._end_before_module, *self._end_after_module]:
            callback.on_train_batch_start(member.trainer, module, batch, batch_idx)  # type: ignore[arg-type]
        # Ours returns None, but that of a subclass may return -1.
        if module.on_train_batch_start(batch, batch_idx) == -1:  # type: ignore[func-returns-value]
            raise ConfigError("on_train_batch_start: engine=fast cannot end an epoch by -1; engine=plain does")
        optimizer.zero_grad()
        output = self._training_step(batch, batch_idx) if len(own_labels) > 0 else torch.zeros((), device=module.device)
        loss = loss_of(output)
        if chunk.world_size == 1:
            loss.backward()
        else:
            loss = backward_over_ranks(loss, len(own_labels) / len(minibatch), list(module.parameters()))
        if self.clip_val is not None:
            self.clip([weights for group in optimizer.param_groups for weights in group["params"]], self.clip_val)
        optimizer.step()
        member.last_lr = float(optimizer.param_groups[0]["lr"])
        member.trainer.global_step = step + 1
        if member.with_batch_hooks:
            count_steps(member.trainer.stack_trainer, step + 1)
        if member.lr_is_function_of_step:
            member.set_learning_rates(step + 1)
        elif member.schedule is not None:
            member.schedule.step()
        outputs = {**(output if isinstance(output, dict) else {}), "loss": loss.detach()}
        for callback in self._end_before_module:
            callback.on_train_batch_end(member.trainer, module, outputs, batch, batch_idx)  # type: ignore[arg-type]
        module.on_train_batch_end(outputs, batch, batch_idx)
        for callback in self._end_after_module:
            callback.on_train_batch_end(member.trainer, module, outputs, batch, batch_idx)  # type: ignore[arg-type]
        member.train_log.in_step = False
        return loss.detach()

    def _training_step(self, batch: Batch, batch_idx: int) -> Any:
        with self.member.trainer.precision_plugin.train_step_context():
            return self.member.module.training_step(batch, batch_idx)


def backward_over_ranks(loss: Tensor, share: float, parameters: Sequence[nn.Parameter]) -> Tensor:
    """Backward pass over a minibatch that the ranks share; sets the gradients of all of it, and returns its loss.

    A parameter that no rank's loss depends on keeps the gradient None, as in one process, so that the optimizer leaves
    it alone: no weight decay either.

    Args:
        loss: the mean over this rank's part of the minibatch.
        share: the size of this part, as a fraction of the minibatch.
    """
    weighted = torch.zeros_like(loss)
    if share > 0:  # the mean over no images is NaN
        weighted = loss * share
        weighted.backward()  # type: ignore[no-untyped-call]
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    has_gradient = weighted.new_tensor([weights.grad is not None for weights in trained])
    gradients = [torch.zeros_like(weights) if weights.grad is None else weights.grad for weights in trained]
    flat = torch.cat([weighted.detach().view(1), has_gradient, *(gradient.flatten() for gradient in gradients)])
    sum_over_ranks(flat)  # one collective operation for all of them
    ranks_with_gradient, rest = flat[1 : 1 + len(trained)], flat[1 + len(trained) :]
    for weights, ranks, gradient in zip(
        trained, ranks_with_gradient.tolist(), rest.split([weights.numel() for weights in trained]), strict=True
    ):
        weights.grad = gradient.view_as(weights).to(weights.dtype) if ranks else None
    return flat[0].clone()  # a view would keep the gradients in memory


@contextmanager
def _updated_at_once(metrics: MetricCollection) -> Iterator[None]:
    """Update the metrics once, at the end of the block or before they are computed, for all batches until then.

    Each call of `update` takes as long as computing the loss.
    """
    update = metrics.update
    seen: list[tuple[Tensor, Tensor]] = []

    def note(*given: Any, **named: Any) -> None:
        if len(given) == 2 and not named and all(isinstance(values, Tensor) for values in given):
            seen.append((given[0].detach(), given[1]))
        else:
            update(*given, **named)

    def update_with_seen() -> None:
        if seen:
            outputs, labels = zip(*seen, strict=True)
            seen.clear()
            update(torch.cat(outputs), torch.cat(labels))

    def after_update(compute: Callable[[], Any]) -> Callable[[], Any]:
        def updated_and_computed() -> Any:
            update_with_seen()
            return compute()

        return updated_and_computed

    single = list(metrics.values(copy_state=False))
    computes = [metric.compute for metric in single]
    metrics.update = note  # type: ignore[method-assign]
    metrics.compute = after_update(metrics.compute)  # type: ignore[method-assign]
    for metric, compute in zip(single, computes, strict=True):
        metric.compute = after_update(compute)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del metrics.update, metrics.compute
        for metric, compute in zip(single, computes, strict=True):
            metric.compute = compute  # type: ignore[method-assign]
    update_with_seen()
