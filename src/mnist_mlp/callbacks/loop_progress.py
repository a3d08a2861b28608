"""Progress of Lightning's loops in a checkpoint, computed from the optimizer step."""

from __future__ import annotations

from typing import Any

from mnist_mlp.data.run_length import RunLength


def set_progress(checkpoint: dict[str, Any], length: RunLength, step: int) -> None:
    """Set the progress of the loops to what Lightning counts between two chunks, after `step` optimizer steps.

    Lightning's own counts depend on the hook in which a checkpoint is saved, so a resumed run could skip a batch or
    validate twice.
    """
    fit_loop = checkpoint["loops"]["fit_loop"]
    epochs, steps = length.position(step)
    chunks = steps // length.chunk_steps
    begun = epochs + (steps > 0)
    every = {"ready": begun, "started": begun, "processed": epochs, "completed": epochs}
    fit_loop["epoch_progress"] = {"total": dict(every), "current": dict(every)}
    done = dict.fromkeys(("ready", "started", "processed", "completed"), chunks)
    total = dict.fromkeys(done, epochs * length.chunks_per_epoch + chunks)
    fit_loop["epoch_loop.batch_progress"] = {"total": total, "current": done, "is_last_batch": False}
    # Lightning's private name: the step at which its loop logs, without a public way to restore it.
    fit_loop["epoch_loop.state_dict"] = {"_batches_that_stepped": total["completed"]}
