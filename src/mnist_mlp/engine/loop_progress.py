"""Where a run stands, in the words of Lightning's loops, for a checkpoint to go on from."""

from __future__ import annotations

from typing import Any

from mnist_mlp.engine.run_length import RunLength


def set_progress(checkpoint: dict[str, Any], length: RunLength, step: int) -> None:
    """Write down where the run stands as Lightning would at the one clean point: between two chunks.

    Lightning counts while its hooks run, so what it would save depends on the hook that saves; a resumed run then
    skips a batch or validates twice. The position follows from the optimizer step alone.
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
    fit_loop["epoch_loop.state_dict"] = {"_batches_that_stepped": total["completed"]}
