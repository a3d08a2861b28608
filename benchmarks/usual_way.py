"""The usual Lightning project, to be measured against: DataLoader, a PIL image and transforms per image, Adam,
batch 128, 10 epochs, torchmetrics logged at every step, best checkpoint tested at the end.

`PYTHONPATH=src python benchmarks/usual_way.py [seed]` trains once and prints the test accuracy.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, random_split
from torchmetrics import MeanMetric
from torchmetrics.classification import Accuracy
from torchvision import transforms
from torchvision.datasets import MNIST

from mnist_mlp.config.schema import PROJECT
from mnist_mlp.data import mnist


class Module(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
        )
        self.criterion = nn.CrossEntropyLoss()
        self.accuracies = nn.ModuleDict(
            {part: Accuracy("multiclass", num_classes=10) for part in ("fit", "val", "test")}
        )
        self.losses = nn.ModuleDict({part: MeanMetric() for part in ("fit", "val", "test")})

    def _step(self, batch: Any, part: str) -> torch.Tensor:
        images, labels = batch
        logits = self.net(images)
        loss = self.criterion(logits, labels)
        self.losses[part](loss)
        self.accuracies[part](logits.argmax(1), labels)
        self.log(f"{part}/loss", self.losses[part], on_step=False, on_epoch=True, prog_bar=True)
        self.log(f"{part}/acc", self.accuracies[part], on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return self._step(batch, "fit")

    def validation_step(self, batch: Any, index: int) -> None:
        self._step(batch, "val")

    def test_step(self, batch: Any, index: int) -> None:
        self._step(batch, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def main() -> None:
    mnist.MNIST.load_from(PROJECT / "data")  # the files are there
    warnings.filterwarnings("ignore")
    L.seed_everything(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "MNIST" / "raw"
        raw.parent.mkdir()
        raw.symlink_to(PROJECT / "data" / "mnist")
        scale = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        training, test = (MNIST(folder, train=part, transform=scale) for part in (True, False))
        fit, val = random_split(training, [55_000, 5_000])
        checkpoints = ModelCheckpoint(folder, monitor="val/acc", mode="max", save_last=True)
        trainer = L.Trainer(accelerator="cpu", max_epochs=10, callbacks=[checkpoints], logger=TensorBoardLogger(folder))
        module = Module()
        trainer.fit(module, DataLoader(fit, 128, shuffle=True), DataLoader(val, 128))
        trainer.test(module, DataLoader(test, 128), ckpt_path="best", weights_only=True)


if __name__ == "__main__":
    main()
