"""Checkpoint plugin of Lightning: saves and loads by `checkpoint_file`, so atomically and without unpickling."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO

from mnist_mlp.runs import checkpoint_file as files


class PlainCheckpointIO(CheckpointIO):
    """Packs a checkpoint at once and writes it in a thread, one after another, while training goes on.

    To flush a file to the disk takes as long as many steps. A run that dies before it is there goes on from the file
    before. A write that fails raises SaveError at the next save into the same directory, or at `teardown`, which
    Lightning calls at the end of a fit, however it ends.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._writes: dict[Path, Future[None]] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """With `storage_options={"previous": name}` the file that is there keeps a second name beside it."""
        path = Path(path)
        packed = files.packed(checkpoint)
        for other in [other for other in self._writes if other.parent == path.parent]:
            if other == path or self._writes[other].done():
                self._writes.pop(other).result()
        previous = path.with_name(storage_options["previous"]) if storage_options else None
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._writes[path] = self._thread.submit(_write, packed, path, previous)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = True) -> dict[str, Any]:
        return files.read(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)

    def teardown(self) -> None:
        """Wait until everything is on the disk."""
        writes, self._writes = self._writes, {}
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        for path, write in writes.items():
            if error := write.exception():
                self.fail(path, error)

    def fail(self, path: Path, error: BaseException) -> None:
        """The last write to `path` has failed."""
        raise error


def _write(packed: memoryview, path: Path, previous: Path | None) -> None:
    if previous is not None:
        files.keep_previous(path, previous)
    files.put(packed, path)
