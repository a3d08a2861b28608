"""The training step of a stack: what each member does in one of its own, done for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from mnist_mlp.data.augment import Deformation, deforms
from mnist_mlp.data.loader import Chunk
from mnist_mlp.data.seeding import seed_noise
from mnist_mlp.engine.cuda_graphs import CapturedStep, Step
from mnist_mlp.engine.stacked_loss import StackedLoss
from mnist_mlp.engine.stacked_mlp import StackedMLP
from mnist_mlp.engine.stacked_optimizer import build_update, prepare
from mnist_mlp.module import DigitClassifier
from mnist_mlp.optim import ema as averaging
from mnist_mlp.optim.lr_schedule import rate
from mnist_mlp.optim.optimizers import set_rate


class Stack:
    """The members keep their own networks and optimizers, whose weights and gradients become views of its rows."""

    def __init__(self, classifiers: Sequence[DigitClassifier], optimizers: Sequence[Optimizer]) -> None:
        self.classifiers, self.optimizers = classifiers, optimizers
        for optimizer in optimizers:
            if not optimizer.state:
                prepare(optimizer)
        networks = [classifier.network for classifier in classifiers]
        models = [classifier.config.model for classifier in classifiers]
        self.network = StackedMLP(networks)
        first_weight = self.network.weights[0]
        self.loss = StackedLoss(models, like=first_weight)
        self.update = build_update(optimizers, self.network.weights, self.network.gradients)
        self.normalise_ = networks[0].normalise_
        self.like: dict[str, Any] = {"dtype": first_weight.dtype, "device": first_weight.device}
        self.dropout = [model.dropout for model in models]
        self.deformations = [
            Deformation(classifier.config.augment, first_weight.device) if deforms(classifier.config.augment) else None
            for classifier in classifiers
        ]
        self.averages = [
            (list(classifier.averaged.parameters()), list(classifier.network.parameters()), classifier.averaging_share)
            for classifier in classifiers
            if classifier.averaged is not None
        ]
        self.masks: list[Tensor] = []
        # Memory for what a step reads: a large tensor made anew in every step is paged in anew.
        images = len(classifiers) * classifiers[0].budget.batch_size
        self.inputs = torch.empty(images, first_weight.shape[2], **self.like)
        self._step: Step | None = None

    def run(self, chunks: Sequence[Chunk], first_step: int) -> tuple[Tensor, Tensor]:
        """One optimizer step for each minibatch of the members' chunks.

        Returns:
            Losses `(members, steps)` and outputs `(members, images, 10)`.
        """
        orders = torch.stack([chunk.order for chunk in chunks])
        losses, outputs = [], []
        for step, indices in enumerate(orders.split(chunks[0].batch_size, dim=1), start=first_step):
            self._set_rates(step)
            self._draw_masks(step, indices.shape[1])
            loss, output = self._step_on(chunks[0])(indices, *self._draw_amounts(step, indices.shape[1]))
            losses.append(loss)
            outputs.append(output)
        return torch.stack(losses, dim=1), torch.cat(outputs, dim=1)

    def _step_on(self, chunk: Chunk) -> Step:
        if self._step is None:
            step = partial(self.step, chunk.images, chunk.labels)
            self._step = CapturedStep(step) if chunk.images.is_cuda else step
        return self._step

    def step(self, images: Tensor, labels: Tensor, indices: Tensor, *amounts: Tensor) -> tuple[Tensor, Tensor]:
        """Forward, backward, update, on the images at `indices` `(M, B)`; losses `(M,)`, logits `(M, B, 10)`.

        `amounts` are those of each member that deforms its images.
        """
        chosen = indices.flatten()
        seen = self.inputs[: len(chosen)].copy_(images.index_select(0, chosen)).unflatten(0, indices.shape)
        self._deform(seen, amounts)
        masks = [mask[:, : indices.shape[1]] for mask in self.masks]
        logits = self.network.forward(self.normalise_(seen), masks)
        losses, gradients = self.loss(logits, labels.index_select(0, chosen).view(indices.shape))
        self.network.backward(gradients, masks)
        self._clip_gradients()
        with torch.no_grad():
            self.update()
        for means, weights, share in self.averages:
            averaging.update(means, weights, share)
        return losses, logits

    def _deform(self, images: Tensor, amounts: Sequence[Tensor]) -> None:
        """Change grey levels `(M, B, 784)` in place; those of a member without deformation stay."""
        remaining = iter(amounts)
        for member, deform in enumerate(self.deformations):
            if deform is not None:
                images[member] = deform(images[member], next(remaining))

    def _set_rates(self, step: int) -> None:
        for classifier, optimizer in zip(self.classifiers, self.optimizers, strict=True):
            config = classifier.config
            share = rate(config.scheduler, step, classifier.budget.total_steps)
            set_rate(optimizer, config.optimizer.lr * share)
            if classifier.averaged is not None:
                classifier.averaging_share.fill_(averaging.share(config.averaging.decay, step))

    def _draw_amounts(self, step: int, count: int) -> list[Tensor]:
        return [
            deform.draw(classifier.config.seed, step, count).to(self.like["device"], non_blocking=True)
            for classifier, deform in zip(self.classifiers, self.deformations, strict=True)
            if deform is not None
        ]

    def _draw_masks(self, step: int, batch_size: int) -> None:
        """The dropout of each member as it would draw it alone; a member without any draws nothing."""
        if not any(self.dropout):
            return
        if not self.masks:
            shape = len(self.dropout), self.classifiers[0].budget.batch_size
            self.masks = [torch.ones(*shape, bias.shape[1], **self.like) for bias in self.network.weights[1:-2:2]]
        for member, share in enumerate(self.dropout):
            if share > 0:
                seed_noise(self.classifiers[member].config.seed, step)
                for mask in self.masks:
                    mask[member, :batch_size] = F.dropout(torch.ones(batch_size, mask.shape[2], **self.like), share)

    def _clip_gradients(self) -> None:
        trainer = self.classifiers[0].config.trainer
        if trainer.gradient_clip_val is None:
            return
        for classifier in self.classifiers:
            parameters = classifier.network.parameters()
            if trainer.gradient_clip_algorithm == "norm":
                nn.utils.clip_grad_norm_(parameters, trainer.gradient_clip_val)
            else:
                nn.utils.clip_grad_value_(parameters, trainer.gradient_clip_val)
