"""LightningModule: network, loss, optimizer and metrics.

Any `lightning.Trainer` can train it, but without `accumulate_grad_batches`. `train.py` uses `mnist_mlp.engine`, which
makes the same steps in less time; with `engine=plain` it uses Lightning's own loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torchmetrics import MetricCollection

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import Config
from mnist_mlp.data.loader import Batch
from mnist_mlp.data.seeding import seed_torch
from mnist_mlp.model.adversarial import adversarial_images
from mnist_mlp.model.losses import build_loss
from mnist_mlp.model.metrics import build_metrics
from mnist_mlp.model.networks import DataSpec, Network, build_network
from mnist_mlp.optim.ema import ema_weight, update_ema
from mnist_mlp.optim.lr_schedule import build_lr_schedule
from mnist_mlp.optim.optimizers import build_optimizer


class DigitClassifier(L.LightningModule):
    """A classifier of images: network, loss, optimizer and metrics."""

    def __init__(self, config: Config | Mapping[str, Any], data: DataSpec | Mapping[str, Any]) -> None:
        """Draw the initial weights from torch's global generator.

        Args:
            config: the configuration of the run; a dictionary if it is read from a checkpoint.
            data: image shape, class names and normalisation: `DigitsDataModule(config).spec`.
        """
        super().__init__()
        self.config = config if isinstance(config, Config) else from_dict(dict(config), Config)
        self.data = data if isinstance(data, DataSpec) else DataSpec(**data)
        self.save_hyperparameters({"config": asdict(self.config), "data": asdict(self.data)}, logger=False)
        self.network = build_network(self.config.model, self.data)
        averaged = self.config.averaging.decay > 0
        self.ema_network = deepcopy(self.network).requires_grad_(False) if averaged else None
        self.loss = build_loss(self.config.model, training=True)
        self.evaluation_loss = build_loss(self.config.model, training=False)
        names, classes = self.config.metrics, len(self.data.class_names)
        self.train_metrics = build_metrics(names, classes, "train")
        self.val_metrics = build_metrics(names, classes, "val")
        self.test_metrics = build_metrics(names, classes, "test")

    @property
    def evaluated_network(self) -> Network:
        """Network for validation, test and prediction: the EMA of `network` if there is one, else `network` itself."""
        return self.network if self.ema_network is None else self.ema_network

    def forward(self, images: Tensor) -> Tensor:
        """From images `(B, C, H, W)` uint8 to log-probabilities `(B, classes)`."""
        return self.evaluated_network.log_probabilities(images)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        if distance := self.config.model.adversarial:
            images = images.to(self.network.mean.dtype).requires_grad_()
        output = self.network(images)  # (B, classes): what the loss expects, which is logits for cross_entropy
        loss = self.loss(output, labels)
        self.log_metrics("train", loss, output, labels)  # of the clean images only
        if distance:
            adversarial_output = self.network(adversarial_images(images, loss, distance))
            loss = (loss + self.loss(adversarial_output, labels)) / 2
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._evaluate("test", batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Class probabilities `(B, classes)`."""
        return self.forward(batch[0]).exp()

    def _evaluate(self, stage: str, batch: Batch) -> Tensor:
        """Log the loss and the metrics. Returns the logits `(B, classes)`, for callbacks."""
        images, labels = batch
        logits = self.evaluated_network.logits(images)
        output = self.evaluated_network.head(logits)
        self.log_metrics(stage, self.evaluation_loss(output, labels), output, labels)
        return logits

    def metrics_of(self, stage: str) -> MetricCollection:
        """Metrics of the stage `train`, `val` or `test`, by the names under which they are logged."""
        return {"train": self.train_metrics, "val": self.val_metrics, "test": self.test_metrics}[stage]

    def log_metrics(self, stage: str, loss: Tensor, output: Tensor, labels: Tensor) -> None:
        """Add a batch to the mean loss and the metrics of the epoch."""
        metrics = self.metrics_of(stage)
        metrics.update(output, labels)
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(labels))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        # In mixed precision Lightning cannot clip the gradients of a fused optimizer.
        fused = not self.trainer.precision.endswith("mixed")
        optimizer = build_optimizer(self.config.optimizer, self.network.parameters(), fused=fused)
        total_steps = self.trainer.estimated_stepping_batches  # infinite if nothing limits the Trainer
        schedule = build_lr_schedule(self.config.scheduler, optimizer, total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # engine=fast has a hand-written copy of the next two. To change them, override them in a subclass: yours are then
    # used. It notices an edit here only if its comparison before training shows another result (docs/yours.md).
    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout and the like by (seed, step, rank), so that a resumed run draws the same noise."""
        if (batches := self.trainer.accumulate_grad_batches) > 1:  # noise and EMA count optimizer steps
            raise ConfigError(
                f"L.Trainer(accumulate_grad_batches={batches}): expected 1. In the configuration set "
                f"trainer.accumulate_grad_batches={batches} or a larger data.batch_size, for the same optimizer steps"
            )
        seed_torch(self.config.seed, self.global_step, self.global_rank, self.device)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Update the EMA. Lightning's own ModelCheckpoint, within an epoch, saves before this: without this update."""
        if self.ema_network is not None:
            weight = ema_weight(self.config.averaging.decay, step=self.global_step - 1)
            update_ema(self.ema_network, self.network, weight)

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *arguments: Any, **keywords: Any) -> DigitClassifier:
        """Lightning's method, always with `weights_only=True`: nothing is unpickled."""
        return super().load_from_checkpoint(checkpoint_path, *arguments, **{**keywords, "weights_only": True})
