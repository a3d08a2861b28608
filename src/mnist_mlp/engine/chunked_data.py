"""ChunkedData: the data module of a stack, in chunks for training and in large batches for evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L

from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.loader import EvaluationLoader, Part, evaluation_batch, limited_part
from mnist_mlp.engine.chunked_length import ChunkedLength
from mnist_mlp.engine.chunks import ChunkLoader


class ChunkedData(L.LightningDataModule):
    """Loaders of chunks for training and of large batches for evaluation, over the data of a `DigitsDataModule`."""

    def __init__(self, datamodule: DigitsDataModule, length: ChunkedLength, configs: Sequence[Config]) -> None:
        super().__init__()
        self.datamodule, self.length, self.config = datamodule, length, configs[0]
        self.seeds = [config.seed for config in configs]

    def train_dataloader(self) -> ChunkLoader:
        assert self.trainer is not None
        return ChunkLoader(
            self._on_device(self.datamodule.parts["train"]),
            length=self.length,
            seeds=self.seeds,
            # Lightning has restored it: nothing in the engine asks for the loader before.
            first_step=self.trainer.global_step,
            same_order=bool(self.config.trainer.overfit_batches),
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )

    def val_dataloader(self) -> EvaluationLoader:
        return self._evaluation_loader("val", self.config.trainer.limit_val_batches)

    def test_dataloader(self) -> EvaluationLoader:
        return self._evaluation_loader("test", self.config.trainer.limit_test_batches)

    def _evaluation_loader(self, stage: str, limit: int | float) -> EvaluationLoader:
        """Batches of what this rank evaluates, on its device; every image belongs to exactly one rank."""
        assert self.trainer is not None
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        part = limited_part(self.datamodule.parts[stage], limit, self.config)
        images, labels = (values.tensor_split(world_size)[rank] for values in part)
        size = evaluation_batch(images, known_to_fit=self.config.data.batch_size)
        return EvaluationLoader(self._on_device((images, labels)), size)

    def _on_device(self, part: Part) -> Part:
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        return part[0].to(device), part[1].to(device)
