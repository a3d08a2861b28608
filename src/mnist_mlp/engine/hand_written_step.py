"""Hand-written step: forward pass, backward pass and update of M perceptrons at once, without autograd.

Indices, targets and learning rates of all steps of a chunk are in tensors with fixed addresses, filled once per chunk,
so on a GPU a chunk is one CUDA graph. Recorded steps draw their noise from generators that are seeded by (seed, first
step of the chunk). Steps that run one by one draw the noise that `training_step` would draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.data.seeding import noise_seed, seed_torch
from mnist_mlp.distributed.strategy import sum_over_ranks
from mnist_mlp.engine.chunked_length import ChunkedLength
from mnist_mlp.engine.chunks import Chunk
from mnist_mlp.engine.cuda_graphs import Recorder
from mnist_mlp.engine.flat import Flat
from mnist_mlp.engine.stacked_loss import StackedLoss
from mnist_mlp.engine.stacked_mlp import StackedMLP
from mnist_mlp.engine.stacked_optimizer import build_update
from mnist_mlp.engine.step_inputs import StepInputs
from mnist_mlp.optim.ema import ema_weight

if TYPE_CHECKING:
    from mnist_mlp.engine.member import Member


class HandWrittenStep:
    """Training step of all members; their parameters and optimizer states become views of rows of flat tensors."""

    def __init__(self, members: Sequence[Member], length: ChunkedLength, recorder: Recorder | None = None) -> None:
        """
        Args:
            length: that of the members; for a trial, with chunks of one step.
            recorder: records the steps of each chunk as a CUDA graph; None: steps run one by one.
        """
        self.members, self.length, self.recorder = members, length, recorder
        modules = [member.module for member in members]
        self.configs = [module.config for module in modules]
        self.flat = Flat([module.network for module in modules])
        weights = self.flat.parameters
        self.device, self.dtype = weights.device, weights.dtype
        self.network = StackedMLP(modules[0].network.layers, self.flat)
        classes = len(modules[0].data.class_names)
        self.loss = StackedLoss([config.model for config in self.configs], classes, like=weights)
        fused = recorder is None and weights.device.type == "cpu"
        self.update = build_update([member.optimizer for member in members], self.flat, fused=fused)
        self.inputs = StepInputs(members, length.batch_size, like=weights)
        self.dropout = [config.model.dropout for config in self.configs]
        self.averaged = [row for row, module in enumerate(modules) if module.ema_network is not None]
        if self.averaged:
            self.ema = Flat([modules[row].ema_network for row in self.averaged]).parameters  # type: ignore[misc]
            self.averaged_rows = torch.tensor(self.averaged, device=self.device)
        self.noise = {
            row: torch.Generator(self.device)
            for row, augmentation in enumerate(self.inputs.augmentations)
            if recorder and (augmentation or self.dropout[row] > 0)
        }
        """for recorded steps, a generator for each member with augmentation or dropout"""
        self._allocate(classes)

    def _allocate(self, classes: int) -> None:
        """Allocate the tensors of one chunk, whose addresses a CUDA graph keeps.

        `order` `(M, images)` holds the indices of this rank's images, one minibatch after another; `targets` and
        `logits` `(M, images, classes)` follow it. A mask `(M, B, width)` for each hidden layer serves one step.
        """
        members, steps = len(self.configs), self.length.chunk_steps
        images = steps * self.length.batch_size
        like: dict[str, Any] = {"dtype": self.dtype, "device": self.device}
        self.order = torch.empty(members, images, dtype=torch.int64, device=self.device)
        self.targets = torch.empty(members, images, classes, **like)
        self.logits = torch.empty(members, images, classes, **like)
        hidden = [bias.shape[2] for bias in self.network.biases[:-1]] if any(self.dropout) else []
        self.masks = [torch.ones(members, self.length.batch_size, width, **like) for width in hidden]
        self.rates = torch.empty(steps, members, 1, **like)
        self.ema_shares = torch.empty(steps, len(self.averaged), 1, **like)

    def run(self, chunk: Chunk, first_step: int) -> Tensor:
        """Make one optimizer step for each minibatch of the chunk; returns the losses `(M, steps)`."""
        sizes = chunk.sizes
        parts = [chunk.share_of_rank(minibatch, dim=1) for minibatch in chunk.minibatches()]
        own_sizes = [part.shape[1] for part in parts]
        order = torch.cat(parts, dim=1) if chunk.world_size > 1 else chunk.order
        count = order.shape[1]
        self.order[:, :count] = order
        labels = chunk.labels.index_select(0, order.flatten()).view(order.shape)
        self.targets[:, :count] = self.loss.targets(labels)
        rates = self._learning_rates(first_step, len(sizes))
        self._fill_ema_shares(first_step, len(sizes))

        def work() -> None:
            minibatches = self.order[:, :count].split(own_sizes, dim=1)
            begin = 0
            for number, x in enumerate(self.inputs.of(chunk, minibatches, sizes, first_step, self.noise)):
                taken = slice(begin, begin + own_sizes[number])
                self._step(x, taken, sizes[number], first_step + number, number, rates[number], chunk)
                begin += own_sizes[number]

        if self.recorder is None:
            work()
        else:
            for row, generator in self.noise.items():
                generator.manual_seed(noise_seed(self.configs[row].seed, first_step, chunk.rank))
            self.recorder((tuple(sizes), tuple(own_sizes)), work, list(self.noise.values()))
        logits = self.logits[:, :count].clone()
        by_step = self.loss.losses(logits, self.targets[:, :count]).split(own_sizes, dim=1)
        losses = torch.stack([part.sum(1) / size for part, size in zip(by_step, sizes, strict=True)], dim=1)
        if chunk.world_size > 1:
            sum_over_ranks(losses)
        for row, member in enumerate(self.members):
            member.log_steps(losses[row].tolist(), sizes, logits[row], labels[row])
        return losses

    def _learning_rates(self, first_step: int, steps: int) -> Sequence[Any]:
        """Learning rates of all members in each step: numbers, or views of the tensor that a CUDA graph reads.

        Each optimizer gets that of the step after the chunk, as Lightning's own loop leaves it.
        """
        rates = [
            [member.learning_rates(step)[0] for member in self.members]
            for step in range(first_step, first_step + steps)
        ]
        for member, rate in zip(self.members, rates[-1], strict=True):
            member.last_lr = rate
            member.set_learning_rates(first_step + steps)
        if self.recorder is None:
            return rates
        self.rates[:steps] = torch.tensor(rates, dtype=self.dtype).unsqueeze(2)
        return list(self.rates[:steps])

    def _fill_ema_shares(self, first_step: int, steps: int) -> None:
        """Fill the tensor from which a CUDA graph reads the weights of the EMA."""
        if self.recorder is None or not self.averaged:
            return
        shares = [
            [ema_weight(self.configs[row].averaging.decay, step) for row in self.averaged]
            for step in range(first_step, first_step + steps)
        ]
        self.ema_shares[:steps] = torch.tensor(shares, dtype=self.dtype).unsqueeze(2)

    def _step(self, x: Tensor, taken: slice, size: int, step: int, number: int, rates: Any, chunk: Chunk) -> None:
        """Make one optimizer step.

        Args:
            x: inputs `(M, B, pixels)` of this rank's part of the minibatch; `taken` are its columns in `order`.
            size: images in the whole minibatch.
            step: optimizer steps of the run before this one; `number` counts those of the chunk.
            rates: learning rates of the members.
        """
        masks = self._draw_masks(step, x.shape[1], chunk.rank)
        logits = self.network.forward(x, masks)
        self.logits[:, taken] = logits
        self.network.backward(self.loss.gradient(logits, self.targets[:, taken], size), masks)
        if chunk.world_size > 1:
            sum_over_ranks(self.flat.gradients)
        self._clip()
        self.update(rates)
        self._average(step, number)

    def _draw_masks(self, step: int, count: int, rank: int) -> Sequence[Tensor]:
        """Dropout masks `(M, count, width)`, one for each hidden layer; empty without dropout."""
        if not any(self.dropout):
            return ()
        for member, probability in enumerate(self.dropout):
            if probability > 0 and member not in self.noise:
                seed_torch(self.configs[member].seed, step, rank, self.device)
            for mask in self.masks if probability > 0 else ():
                own = mask[member, :count]
                if member in self.noise or self.device.type == "cpu":  # on the CPU these are the draws of `F.dropout`
                    kept = 1 - probability
                    own.bernoulli_(kept, generator=self.noise.get(member)).div_(kept)
                else:
                    own.copy_(F.dropout(torch.ones_like(own), probability))
        return [mask[:, :count] for mask in self.masks]

    def _clip(self) -> None:
        """Clip the gradients of each member by norm or by value, by the formula of `torch.nn.utils.clip_grad_norm_`."""
        trainer = self.configs[0].trainer
        if trainer.gradient_clip_val is None:
            return
        gradients = self.flat.gradients
        if trainer.gradient_clip_algorithm == "norm":
            norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            gradients.mul_((trainer.gradient_clip_val / (norms + 1e-6)).clamp_(max=1))
        else:
            gradients.clamp_(-trainer.gradient_clip_val, trainer.gradient_clip_val)

    def _average(self, step: int, number: int) -> None:
        """Update the EMA of the weights of each member that has one."""
        if not self.averaged:
            return
        if self.recorder is None:
            for mean, row in zip(self.ema, self.averaged, strict=True):
                mean.lerp_(self.flat.parameters[row], ema_weight(self.configs[row].averaging.decay, step))
        else:
            self.ema.lerp_(self.flat.parameters.index_select(0, self.averaged_rows), self.ema_shares[number])
