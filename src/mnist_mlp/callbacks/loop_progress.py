"""Lightning's loops: `end_run` ends them within an epoch, `set_progress` writes into a checkpoint how far they are."""

from __future__ import annotations

from math import ceil
from typing import Any

import lightning as L

from mnist_mlp.data.run_length import RunLength


def end_run(trainer: L.Trainer) -> None:
    """Let Lightning's loop validate after this step, if it validates in this epoch, and end the epoch and the run.

    For the last step of a run that `max_steps` ends within an epoch. `min_epochs` and `min_steps`, which would forbid
    it, are switched off.
    """
    trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = None
    trainer.should_stop = True


def set_progress(checkpoint: dict[str, Any], length: RunLength, step: int, *, steps_per_batch: int = 1) -> None:
    """Set the progress of the loops to what Lightning counts between two batches, after `step` optimizer steps.

    Lightning's own counts depend on the hook in which a checkpoint is saved, so a resumed run could skip a batch or
    validate twice.

    Args:
        steps_per_batch: optimizer steps in what Lightning sees as one batch.
    """
    fit_loop = checkpoint["loops"]["fit_loop"]
    epochs, steps = length.position(step)
    batches = steps // steps_per_batch
    begun = epochs + (steps > 0)
    counted = {"ready": begun, "started": begun, "processed": epochs, "completed": epochs}
    fit_loop["epoch_progress"] = {"total": dict(counted), "current": dict(counted)}
    in_epoch = dict.fromkeys(("ready", "started", "processed", "completed"), batches)
    total = dict.fromkeys(in_epoch, epochs * ceil(length.steps_per_epoch / steps_per_batch) + batches)
    fit_loop["epoch_loop.batch_progress"] = {"total": total, "current": in_epoch, "is_last_batch": False}
    # Private: the step number with which Lightning logs. There is no public way to restore it.
    fit_loop["epoch_loop.state_dict"] = {"_batches_that_stepped": total["completed"]}


def timer_state(content: dict[str, Any]) -> dict[str, Any]:
    """State, in a checkpoint, of the callback by which Lightning counts `trainer.max_time`."""
    return {key: state for key, state in content["callbacks"].items() if key == "Timer"}
