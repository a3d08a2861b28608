"""Choice between the hand-written step and autograd, made before the first step.

The hand-written step duplicates `training_step`, which a user may change. So both make one step from the same weights
on the same images. The hand-written one is used only if loss, gradients, new weights, buffers, numbers among the
module's attributes and logged values agree. Both also make one step, again from these weights, with the step number of
the last step of the run, without a comparison of the new weights. That finds a term of the loss that is zero at first
or begins in a later epoch. Hooks of the module and callbacks may change the training at any time: with one that may,
autograd trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from mnist_mlp.callbacks import only_reads
from mnist_mlp.engine import stacked_mlp, stacked_optimizer
from mnist_mlp.engine.autograd_step import AutogradStep
from mnist_mlp.engine.chunks import Chunk
from mnist_mlp.engine.hand_written_step import HandWrittenStep
from mnist_mlp.engine.member import Member
from mnist_mlp.engine.overrides import overrides
from mnist_mlp.engine.stacked_loss import HAND_WRITTEN
from mnist_mlp.model.networks import Network
from mnist_mlp.module import DigitClassifier

TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-9}
METRIC_TOLERANCE = 0.05
"""absolute tolerance of a metric such as accuracy, a share of images"""
MAY_CHANGE_TRAINING: dict[str, type[L.LightningModule]] = dict.fromkeys(
    (
        *("on_load_checkpoint", "on_fit_start", "on_train_start", "on_train_epoch_start", "on_train_epoch_end"),
        *("on_validation_start", "on_validation_epoch_start", "on_validation_batch_start"),
        *("on_validation_batch_end", "on_validation_epoch_end", "on_validation_end"),
    ),
    L.LightningModule,
) | dict.fromkeys(("on_train_batch_start", "on_train_batch_end"), DigitClassifier)
"""hooks in which a module may change how it is trained; and the class whose own hook does nothing, or is part of the
hand-written step"""


def reason_for_autograd(members: Sequence[Member], chunk: Chunk) -> str | None:
    """Why autograd has to train these members, as text for the log; None if the hand-written step can."""
    tried = set()
    for member in members:
        config, model, network = member.config, member.config.model, member.module.network
        for callback in member.chosen_callbacks:
            if callback in member.with_batch_hooks:
                return f"{type(callback).__name__} has a hook around a batch"
            if not only_reads(callback):
                return f"{type(callback).__name__} may change the network or the optimizer"
        for hook, base in MAY_CHANGE_TRAINING.items():
            if overrides(member.module, base, hook):
                return f"{type(member.module).__name__} has a hook {hook} of its own"
        if not stacked_mlp.is_known(network.layers):
            return f"the network has layers other than a perceptron's (model.name={model.name})"
        if _types_without_dropout(network) != _types_without_dropout(members[0].module.network):
            return "the networks differ in their layers"
        if len(list(network.parameters())) != len(list(network.layers.parameters())):
            return f"the network has weights outside of its layers (model.name={model.name})"
        if not all(weight.requires_grad for weight in network.parameters()):
            return "some weights of the network are frozen"
        if model.loss not in HAND_WRITTEN:
            return f"the hand-written step does not support model.loss={model.loss}"
        if model.adversarial:
            return f"the hand-written step does not support model.adversarial={model.adversarial}"
        if not stacked_optimizer.is_known(member.optimizer, network):
            return f"the hand-written step does not support {type(member.optimizer).__name__} with these settings"
        if not member.lr_is_function_of_step:
            return f"{type(member.schedule).__name__} is no function of the step alone"
        if network.mean.dtype not in TOLERANCE or config.trainer.precision.endswith("mixed"):
            return f"the hand-written step does not support trainer.precision={config.trainer.precision}"
        # Members with equal `settings` share one trial. They may still differ in seed, learning rate, betas and the
        # like, which both steps get in the same way.
        settings = repr((model, config.augment, config.averaging, config.optimizer.name, config.optimizer.weight_decay))
        if settings not in tried:
            tried.add(settings)
            for step in dict.fromkeys((0, member.length.total_steps - 1)):
                if difference := _difference(member, chunk, step):
                    when = " in the last step" if step else ""
                    return f"training_step gives {difference} than the hand-written step{when}"
    return None


def _types_without_dropout(network: Network) -> list[type[nn.Module]]:
    """Types of the layers; dropout, which members may have or not, left out."""
    return [type(layer) for layer in network.layers if not isinstance(layer, nn.Dropout)]


def _difference(member: Member, chunk: Chunk, step: int) -> str | None:
    """What differs between the two steps on the first minibatch of the chunk, made as step number `step` of the run.

    None if they agree.
    """
    one_step = chunk.first_minibatch()
    written, original = member.copy_for_trial(), member.copy_for_trial()
    for trial in (written, original):
        trial.trainer.current_epoch = step // member.length.steps_per_epoch
        trial.set_learning_rates(step)
    before = _weights(original)
    losses = [
        HandWrittenStep([written], replace(member.length, chunk_steps=1)).run(one_step, step),
        AutogradStep(original).run(one_step, step),
    ]
    tolerance = TOLERANCE[member.module.network.mean.dtype]
    if not torch.allclose(losses[0].cpu(), losses[1].cpu().to(losses[0].dtype), rtol=tolerance, atol=tolerance):
        return "another loss"
    if not _agree(_gradients(written), _gradients(original), tolerance):
        return "other gradients"
    # For a gradient near zero, rounding determines the sign of Adam's update: so compare the mean over all weights, and
    # allow for some of these. Not in the last step, whose learning rate may be so small that rounding decides.
    if step == 0 and not _agree(_weights(written) - before, _weights(original) - before, 100 * tolerance):
        return "other weights"
    buffers = dict(written.module.named_buffers())
    for name, buffer in original.module.named_buffers():
        if name not in buffers or not torch.equal(buffers[name], buffer):
            return f"another buffer {name}"
    for name, value in _public_numbers(original).items():
        if value != vars(written.module).get(name):
            return f"another {name}"
    logged = [trial.train_log.compute(world_size=chunk.world_size) for trial in (written, original)]
    if logged[0].keys() != logged[1].keys():
        return "other metrics"
    for name, value in logged[0].items():
        # Rounding may change the predicted class of an image. A `training_step` that gives a metric other outputs makes
        # a larger difference.
        allowed = METRIC_TOLERANCE if name in written.train_log.metrics else tolerance
        # Moved first: an Apple GPU has no 64 bits.
        if not torch.allclose(
            value.cpu().double(), logged[1][name].cpu().double(), rtol=0, atol=allowed, equal_nan=True
        ):
            return f"another value of {name}"
    return None


def _agree(left: Tensor, right: Tensor, tolerance: float) -> bool:
    return bool((left - right).abs().mean() <= tolerance * right.abs().mean())


def _public_numbers(member: Member) -> dict[str, Any]:
    """Numbers and texts among the public attributes of the module, which a `training_step` may count or set."""
    return {
        name: value
        for name, value in vars(member.module).items()
        if not name.startswith("_") and isinstance(value, int | float | str)
    }


def _weights(member: Member) -> Tensor:
    """All weights of the module in one tensor, those of the EMA included."""
    return torch.cat([parameter.detach().flatten().clone() for parameter in member.module.parameters()])


def _gradients(member: Member) -> Tensor:
    """All gradients in one tensor; zero for a weight without one."""
    parameters = member.module.network.parameters()
    gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in parameters]
    return torch.cat([gradient.flatten() for gradient in gradients])
