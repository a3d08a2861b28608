"""Checkpoint plugin of Lightning: saves and loads by `checkpoint_file`, so atomically and without unpickling."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO

from mnist_mlp.runs import checkpoint_file


class BackgroundCheckpointIO(CheckpointIO):
    """Checkpoints are serialised immediately, and written atomically in a thread while training continues.

    Flushing a file to the disk takes as long as many steps. If a run is killed during a write, it resumes from the
    previous file. If a write fails, SaveError is raised at the next save into the same directory, or at `teardown`,
    which Lightning calls at the end of a fit, also after an exception.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._writes: dict[Path, Future[None]] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """With `storage_options={"previous": name}` the file at `path` is kept under that name."""
        path = Path(path)
        packed = checkpoint_file.packed(checkpoint)
        # Wait for an unfinished write of the same file, and raise the error of a write that failed.
        for other in [other for other in self._writes if other.parent == path.parent]:
            if other == path or self._writes[other].done():
                self._writes.pop(other).result()
        previous = path.with_name(storage_options["previous"]) if storage_options else None
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._writes[path] = self._thread.submit(_write, packed, path, previous)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = True) -> dict[str, Any]:
        return checkpoint_file.read(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        path = Path(path)
        if path in self._writes:  # or its write would bring the file back
            self._writes.pop(path).result()
        path.unlink(missing_ok=True)

    def teardown(self) -> None:
        """Wait until all checkpoints are on the disk."""
        writes, self._writes = self._writes, {}
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        for path, write in writes.items():
            if error := write.exception():
                self.fail(path, error)

    def fail(self, path: Path, error: BaseException) -> None:
        """Called for a failed write to `path`; raises its error."""
        raise error


def _write(packed: bytes, path: Path, previous: Path | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if previous is not None:
        checkpoint_file.keep_previous(path, previous)
    checkpoint_file.put(packed, path)
