"""The LightningModule: network, loss, optimizer and metrics, and the optimizer steps of one chunk."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from mnist_mlp.config.errors import DivergedError
from mnist_mlp.config.schema import Config
from mnist_mlp.data.augment import Deformation, deforms
from mnist_mlp.data.loader import Chunk
from mnist_mlp.data.seeding import seed_noise
from mnist_mlp.distributed.strategy import SharedGradients
from mnist_mlp.engine.cuda_graphs import CapturedStep, Step
from mnist_mlp.engine.run_length import Budget
from mnist_mlp.model import CLASSES, MLP, loss_of
from mnist_mlp.optim import ema as averaging
from mnist_mlp.optim.lr_schedule import rate
from mnist_mlp.optim.optimizers import build_optimizer, set_rate


class DigitClassifier(L.LightningModule):
    averaging_share: Tensor

    def __init__(self, config: Config, budget: Budget) -> None:
        """Draws the network's weights from torch's generator."""
        super().__init__()
        self.config, self.budget = config, budget
        self.network = MLP.of(config)
        self.averaged = deepcopy(self.network).requires_grad_(False) if config.averaging.decay > 0 else None
        self.register_buffer("averaging_share", torch.tensor(0.0), persistent=False)
        self.automatic_optimization = False
        self.stop_requested = False
        self._captured: CapturedStep | None = None
        self._deform: Deformation | None = None
        self._shared: SharedGradients | None = None
        self._loss_sum, self._images = 0.0, 0  # of the epoch so far
        self.train_accuracy = _accuracy()
        self.eval_loss, self.eval_accuracy = MeanMetric(), _accuracy()

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, 784)` or `(B, 28, 28)` uint8 to log-probabilities `(B, 10)`."""
        return self.in_use.log_probabilities(images)

    @property
    def in_use(self) -> MLP:
        """The network that is validated, tested and used: the averaged one, where weights are averaged."""
        return self.network if self.averaged is None else self.averaged

    def configure_optimizers(self) -> torch.optim.Optimizer:
        recorded = self.device.type == "cuda"
        return build_optimizer(self.config.optimizer, self.network, recorded=recorded)

    def on_fit_start(self) -> None:
        self._deform = Deformation(self.config.augment, self.device) if deforms(self.config.augment) else None

    def training_step(self, chunk: Chunk, chunk_index: int) -> dict[str, Tensor]:
        """One optimizer step for each minibatch of the chunk; returns their `losses` `(steps,)`."""
        step_on = self._step_on(chunk)
        first_step = self.global_step
        losses, outputs = [], []
        for step, indices in enumerate(chunk.minibatches(), start=first_step):
            if self.stop_requested:
                break
            self._set_rates(step)
            if self.network.draws_noise:
                seed_noise(self.config.seed, step, self.global_rank)
            loss, output = step_on(indices, *self._noise(step, len(indices)))
            losses.append(loss)
            outputs.append(output)
        if not losses:
            return {"losses": torch.empty(0)}
        self._count_steps(len(losses))
        chunk_losses = torch.stack(losses)
        self.take_steps(chunk, chunk_losses, torch.cat(outputs), first_step)
        return {"losses": chunk_losses}

    def take_steps(self, chunk: Chunk, losses: Tensor, outputs: Tensor, first_step: int) -> None:
        """Check the steps just made on the chunk, and add them to what the epoch has added up so far.

        Args:
            losses: `(steps,)`, fewer than the chunk has where it was cut short.
            outputs: `(images, 10)`, all steps in a row, of the images that this process trained on.

        Raises:
            DivergedError: a loss is not finite.
        """
        self._refuse_infinite(losses, first_step)
        trained = chunk.minibatches()[: len(losses)]
        # Step after step, so that the sum is the same to the bit wherever a signal cuts a chunk short. In local
        # variables, as every assignment to a module's attribute takes microseconds.
        loss_sum, images = self._loss_sum, self._images
        for loss, indices in zip(losses.tolist(), trained, strict=True):
            loss_sum += loss * len(indices)
            images += len(indices)
        self._loss_sum, self._images = loss_sum, images
        self.train_accuracy.update(outputs, chunk.labels[torch.cat([chunk.own(indices) for indices in trained])])

    def _step_on(self, chunk: Chunk) -> Step:
        if self.trainer.world_size > 1:
            self._shared = self._shared or SharedGradients(self.network.parameters())
            return partial(self._step, chunk)
        if self.device.type != "cuda" or not self.config.trainer.precision.endswith("true"):
            return partial(self._step, chunk)
        if self._captured is None:
            self._captured = CapturedStep(partial(self._step, chunk))
        return self._captured

    def _noise(self, step: int, count: int) -> tuple[Tensor, ...]:
        """What a step takes besides indices: drawn outside of it, as a recorded step would repeat what it drew."""
        if self._deform is None:
            return ()
        return (self._deform.draw(self.config.seed, step, count).to(self.device, non_blocking=True),)

    def _step(self, chunk: Chunk, indices: Tensor, amounts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Forward, backward, update, on the images and labels at `indices` `(B,)`; loss and output, detached.

        Where several processes share the work the loss is that of all `indices`, the output that of the own ones.
        """
        trainer, optimizer = self.config.trainer, self._optimizer
        own = chunk.own(indices)
        images = chunk.images.index_select(0, own)
        if self._deform is not None and amounts is not None:
            images = self._deform(images, chunk.own(amounts)).to(self.network.mean.dtype)
        output = self.network(images)
        if output.dtype == torch.bfloat16:  # of mixed precision; the loss would lose its small differences
            output = output.float()
        labels = chunk.labels.index_select(0, own)
        loss = loss_of(self.config.model.loss, output, labels, self.config.model.label_smoothing)
        if self._shared is None:
            optimizer.zero_grad()
            loss.backward()
        else:
            loss = self._shared.backward(loss, share=len(own) / len(indices))
        if trainer.gradient_clip_val is not None:
            self.clip_gradients(optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
        optimizer.step()
        if self.averaged is not None:
            averaging.update(self.averaged.parameters(), self.network.parameters(), self.averaging_share)
        return loss.detach(), output.detach()

    @property
    def _optimizer(self) -> torch.optim.Optimizer:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def _set_rates(self, step: int) -> None:
        share = rate(self.config.scheduler, step, self.budget.total_steps)
        set_rate(self._optimizer, self.config.optimizer.lr * share)
        self.averaging_share.fill_(averaging.share(self.config.averaging.decay, step))

    def _count_steps(self, steps: int) -> None:
        """Tell Lightning how many optimizer steps the chunk held: `global_step` is read from this counter."""
        self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_by(steps)

    def _refuse_infinite(self, losses: Tensor, first_step: int) -> None:
        if not bool(losses.isfinite().all()):
            step = first_step + int((~losses.isfinite()).nonzero()[0])
            raise DivergedError(
                f"the loss became {float(losses[step - first_step])} at step {step}; good checkpoints are kept. "
                f"Try a smaller optimizer.lr (it is {self.config.optimizer.lr}) or trainer.gradient_clip_val=1.0"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What this epoch has added up so far, on all processes, for a run that stops in the middle of it."""
        with self.train_accuracy.sync_context():
            accuracy = dict(self.train_accuracy.metric_state)
        checkpoint["running"] = {"loss_sum": self._loss_sum, "images": self._images, "acc": accuracy}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        running = checkpoint["running"]
        self._loss_sum, self._images = running["loss_sum"], running["images"]
        if self.global_rank == 0:  # the first process has what all had added up
            for state, value in running["acc"].items():
                setattr(self.train_accuracy, state, value)

    def train_metrics(self) -> dict[str, float]:
        """Mean loss and accuracy over the epoch so far, each image counted at the step that it was trained on."""
        return {"train/loss": self._loss_sum / self._images, "train/acc": float(self.train_accuracy.compute())}

    def on_train_epoch_start(self) -> None:
        # Not at its end: a run that ended in the middle of an epoch, and is lengthened, goes on adding up.
        self.reset_train_metrics()

    def reset_train_metrics(self) -> None:
        self._loss_sum, self._images = 0.0, 0
        self.train_accuracy.reset()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Returns the logits `(B, 10)`, which callbacks are shown."""
        return self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        self._evaluate(batch)

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _evaluate(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        logits = self.in_use.logits(images)
        output = self.in_use.head(logits)
        # Without label smoothing, so that losses compare between runs.
        self.eval_loss.update(loss_of(self.config.model.loss, output, labels), len(labels))
        self.eval_accuracy.update(output, labels)
        return logits

    def _log_evaluation(self, part: str) -> None:
        self.log_dict(self.evaluation(part), logger=False)

    def evaluation(self, part: str) -> dict[str, Tensor]:
        """Mean loss and accuracy over the batches since the last call."""
        values = {f"{part}/loss": self.eval_loss.compute(), f"{part}/acc": self.eval_accuracy.compute()}
        self.eval_loss.reset()
        self.eval_accuracy.reset()
        return values


def _accuracy() -> MulticlassAccuracy:
    return MulticlassAccuracy(CLASSES, average="micro", validate_args=False)
