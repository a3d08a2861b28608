"""Checkpointing: saves the best network by validation, and the latest state, from which a run resumes exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from mnist_mlp.callbacks.history import stage_metrics
from mnist_mlp.callbacks.loop_progress import set_progress
from mnist_mlp.config.errors import DivergedError
from mnist_mlp.config.schema import CheckpointConfig, Config
from mnist_mlp.data.image_datamodule import ImageDataModule
from mnist_mlp.data.run_length import RunLength
from mnist_mlp.distributed.strategy import max_over_ranks
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.runs.directories import CHECKPOINTS
from mnist_mlp.runs.monitored import LOSS, require_measured
from mnist_mlp.runs.result import versions


class Checkpointing(Checkpoint):
    """Saves best.ckpt (by `checkpoint.monitor`; ties: lower val/loss), last.ckpt, and previous.ckpt.

    previous.ckpt is the last.ckpt that was saved before the current one. It is used if the
    current last.ckpt is damaged.
    """

    def __init__(
        self, run_directory: Path, config: CheckpointConfig, length: RunLength, metadata: dict[str, Any]
    ) -> None:
        """`metadata` is added to every checkpoint."""
        self.directory = run_directory / CHECKPOINTS
        self.config, self.length, self.metadata = config, length, metadata
        self.best: dict[str, float] = {}
        self.saved_at = time.monotonic()
        self.directory.mkdir(exist_ok=True)

    @property
    def best_epoch(self) -> int | None:
        return int(self.best["epoch"]) if self.best else None

    @property
    def best_validation(self) -> dict[str, float]:
        return {name: value for name, value in self.best.items() if name != "epoch"}

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint.update(self.metadata)
        set_progress(checkpoint, self.length, trainer.global_step)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        # Recomputed, because the resumed run may have more steps than before. A step that ended the shorter run may lie
        # within an epoch of the longer one.
        set_progress(checkpoint, self.length, checkpoint["global_step"])

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        # At the end of a batch, the validation that follows it has not run yet; at the start of the next batch it has.
        if max_over_ranks(trainer, time.monotonic() - self.saved_at) > self.config.every_seconds:
            self.save_last(trainer)

    def on_validation_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        values = stage_metrics("val", trainer)
        # Computed even if there is no best value yet, so that a missing metric is reported at the first validation.
        score = self._score(values)
        if not self.best or score > self._score(self.best):
            self.best = {**values, "epoch": trainer.current_epoch}
            self._save(trainer, checkpoint_file.BEST)

    def _score(self, values: dict[str, float]) -> tuple[float, float]:
        """Sort key of a validation: the larger, the better.

        Raises:
            ConfigError: there is no metric `checkpoint.monitor`.
        """
        require_measured("checkpoint", self.config.monitor, values)
        sign = 1 if self.config.mode == "max" else -1
        # A module of one's own may log its loss under another name; then the earlier of equal epochs stays.
        return _number(sign * values[self.config.monitor]), _number(-values.get(LOSS, 0.0))

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.save_last(trainer)

    def save_last(self, trainer: L.Trainer) -> None:
        # `BackgroundCheckpointIO` keeps the file that is replaced, under this name.
        self._save(trainer, checkpoint_file.LAST, {"previous": checkpoint_file.PREVIOUS})
        self.saved_at = time.monotonic()

    def _save(self, trainer: L.Trainer, name: str, options: dict[str, str] | None = None) -> None:
        for parameter, values in trainer.lightning_module.named_parameters():
            if not bool(values.isfinite().all()):
                raise DivergedError(
                    f"{parameter} is no longer finite at step {trainer.global_step}; earlier checkpoints are kept. "
                    "Try a smaller optimizer.lr or trainer.gradient_clip_val=1.0"
                )
        # Here `weights_only=False` means: with the state of the optimizer.
        trainer.save_checkpoint(self.directory / name, weights_only=False, storage_options=options)


def _number(score: float) -> float:
    """`score` for a comparison in which any number is better than NaN."""
    return -math.inf if math.isnan(score) else score


def checkpoint_metadata(config: Config, data: ImageDataModule) -> dict[str, Any]:
    """Metadata of a checkpoint, in plain types only.

    All that is needed, besides the weights, to use the network when its run directory is gone; also the versions of
    Python and of the packages.
    """
    spec = data.spec
    return {
        "config": asdict(config),
        "class_names": list(spec.class_names),
        "image_shape": list(spec.image_shape),
        "normalisation": {"mean": _plain(spec.mean), "std": _plain(spec.std)},
        "data_sha256": data.sha256,
        "versions": versions(),
        "threads": torch.get_num_threads(),
    }


def _plain(channels: Sequence[float]) -> float | list[float]:
    return channels[0] if len(channels) == 1 else list(channels)
