"""Saves the run: the best network by validation, and the last state, from which it goes on to the same bits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from mnist_mlp.config.errors import DivergedError
from mnist_mlp.distributed.strategy import agree
from mnist_mlp.engine.run_length import Budget
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.runs.directories import CHECKPOINTS


class PlainCheckpointIO(CheckpointIO):
    """Lightning's saves and loads, through our own writing and reading."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        files.write(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = True) -> dict[str, Any]:
        return files.read(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class Checkpoints(Checkpoint):
    """`best.ckpt` by validation accuracy (ties: lower loss), `last.ckpt`, and the one before it, `previous.ckpt`."""

    def __init__(self, run_directory: Path, budget: Budget, description: dict[str, Any], every_seconds: float) -> None:
        """`description` goes into every file: what is needed to use the network without this run."""
        self.directory = run_directory / CHECKPOINTS
        self.budget, self.description, self.every_seconds = budget, description, every_seconds
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
        checkpoint.update(self.description)
        _set_progress(checkpoint["loops"]["fit_loop"], self.budget, trainer.global_step)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        # Once more, as a run that is lengthened stands elsewhere: no longer at its end, but perhaps inside an epoch.
        _set_progress(checkpoint["loops"]["fit_loop"], self.budget, checkpoint["global_step"])

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        # Before a chunk, not after one: a validation that was due in between has run by now.
        if agree(trainer, time.monotonic() - self.saved_at) > self.every_seconds:
            self.save_last(trainer)

    def on_validation_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        accuracy, loss = (float(trainer.callback_metrics[name]) for name in ("val/acc", "val/loss"))
        if not self.best or (accuracy, -loss) > (self.best["val/acc"], -self.best["val/loss"]):
            self.best = {"val/acc": accuracy, "val/loss": loss, "epoch": trainer.current_epoch}
            self._save(trainer, files.BEST)

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.save_last(trainer)

    def save_last(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero:
            files.keep_previous(self.directory / files.LAST, self.directory / files.PREVIOUS)
        self._save(trainer, files.LAST)
        self.saved_at = time.monotonic()

    def _save(self, trainer: L.Trainer, name: str) -> None:
        for parameter, values in trainer.lightning_module.named_parameters():
            if not bool(values.isfinite().all()):
                raise DivergedError(
                    f"{parameter} is no longer finite at step {trainer.global_step}; good checkpoints are kept. "
                    "Try a smaller optimizer.lr or trainer.gradient_clip_val=1.0"
                )
        trainer.save_checkpoint(self.directory / name, weights_only=False)


def _set_progress(fit_loop: dict[str, Any], budget: Budget, step: int) -> None:
    """Write down where the run stands as Lightning would at the one clean point: between two chunks.

    Lightning counts while its hooks run, so what it would save depends on the hook that saves; a resumed run then
    skips a batch or validates twice. The position follows from the optimizer step alone.
    """
    epochs, steps = budget.position(step)
    chunks = steps // budget.chunk_steps
    begun = epochs + (steps > 0)
    every = {"ready": begun, "started": begun, "processed": epochs, "completed": epochs}
    fit_loop["epoch_progress"] = {"total": dict(every), "current": dict(every)}
    done = dict.fromkeys(("ready", "started", "processed", "completed"), chunks)
    total = dict.fromkeys(done, epochs * budget.chunks_per_epoch + chunks)
    fit_loop["epoch_loop.batch_progress"] = {"total": total, "current": done, "is_last_batch": False}
    fit_loop["epoch_loop.state_dict"] = {"_batches_that_stepped": total["completed"]}
