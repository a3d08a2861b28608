"""Result of a run: result.json, which is also written if the run fails."""

from __future__ import annotations

import functools
import json
import math
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mnist_mlp.config.errors import ConfigError, SaveError, Stopped
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.distributed.world import world
from mnist_mlp.runs import directories
from mnist_mlp.runs.atomic_write import replacing, saving
from mnist_mlp.runs.command_line import error_line
from mnist_mlp.runs.record import FORMAT
from mnist_mlp.runs.signals import signals_deferred

RESULT_METRICS = ("val/acc", "val/loss", "test/acc", "test/loss", "train/loss")


@functools.cache
def versions() -> dict[str, str]:
    packages = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


@functools.cache  # the commit of the code that this process has imported, even if it changes meanwhile
def git_commit() -> str | None:
    """Commit of the project's checkout, with a `+` at the end if files are changed; None outside of git."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


@dataclass(kw_only=True)
class Result:
    """Content of result.json. The metrics are those of the best checkpoint by validation, the one that was tested."""

    directory: Path
    seed: int
    config: dict[str, Any]
    status: str = directories.FAILED
    error: str | None = None
    metrics: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(RESULT_METRICS))
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int | None = None
    """counted from 0"""
    epochs: int = 0
    """rows of the history"""
    seconds: dict[str, float] = field(default_factory=dict)
    """wall time of setup, fit, test and total, over all starts of the run"""
    parameters: int | None = None
    """number of weights and biases"""
    data_sha256: str | None = None
    """checksum of the data set, as in run.json; None if the data were not read, or do not fit in memory"""
    versions: dict[str, str] = field(default_factory=versions)
    git: str | None = field(default_factory=git_commit)

    def __post_init__(self) -> None:
        self._began: dict[str, float] = {}  # the parts of the run whose clock is running

    @classmethod
    def of(cls, run: directories.Run) -> Result:
        """The result in the result.json of `run`."""
        known = {part.name for part in fields(cls)} - {"directory"}
        return cls(directory=run.directory, **{name: run.result[name] for name in known & run.result.keys()})

    def continue_from(self, before: directories.Run) -> None:
        """Take over metrics, history and seconds of a stopped run.

        They would be lost if the resumed run stops again before it has read its checkpoint.
        """
        for name in ("metrics", "history", "best_epoch", "epochs", "parameters", "seconds"):
            if name in before.result:
                setattr(self, name, before.result[name])

    @contextmanager
    def written(self) -> Iterator[None]:
        """Write result.json at the end of the block, with the status completed, failed or interrupted.

        A run whose resume is refused, for other data or another configuration, keeps its result.

        Raises:
            SaveError: the run completed, and the result cannot be written.
        """
        try:
            with self.timed("total"):
                yield
        except (Stopped, KeyboardInterrupt) as error:
            self.status, self.error = directories.INTERRUPTED, str(error) or "stopped by Ctrl-C"
            self._write_if_possible()
            raise
        except BaseException as error:
            self.error = f"{type(error).__name__}: {error}"
            if not (self.config["resume"] is not None and isinstance(error, ConfigError)):
                self._write_if_possible()
            raise
        self.status = directories.COMPLETED
        self._write()

    def _add_seconds_of_killed_process(self) -> None:
        """Add the seconds of a process that was killed before it wrote them, from the history in its checkpoint."""
        missing = sum(row["seconds"] for row in self.history) - self.seconds.get("fit", 0.0)
        if missing > 0:
            for part in ("fit", "total"):
                self.seconds[part] = self.seconds.get(part, 0.0) + missing

    def rank_died(self, reason: str) -> None:
        """Write that the run failed; called from a thread, while the main thread waits for a rank that has died."""
        self.error = reason
        self._write_if_possible()
        print(error_line(reason), file=sys.stderr)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the seconds of the block to `seconds[part]`.

        If the result is written inside of the block, only those until then.
        """
        self._began[part] = time.perf_counter()
        try:
            yield
        finally:
            self._stop_clock(part)

    def _stop_clock(self, part: str) -> None:
        if (began := self._began.pop(part, None)) is not None:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

    def take_history(self, rows: list[dict[str, Any]], best_epoch: int | None) -> None:
        """Set the history, and the metrics of the best epoch in it, or of the last one if there was no validation.

        Without any rows nothing changes.
        """
        if not rows:
            return
        self.history, self.epochs, self.best_epoch = rows, len(rows), best_epoch
        chosen = rows[-1]["epoch"] if best_epoch is None else best_epoch
        for row in rows:
            if row["epoch"] == chosen:
                self.metrics |= {name: row[name] for name in ("val/acc", "val/loss", "train/loss")}

    def _write(self) -> None:
        if world().rank > 0:
            return
        for part in list(self._began):
            self._stop_clock(part)
        self._add_seconds_of_killed_process()
        content = {"format": FORMAT, **asdict(self)}
        del content["directory"]
        path = self.directory / directories.RESULT
        with signals_deferred(), saving(path), replacing(path) as draft:
            draft.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n", "utf-8")

    def _write_if_possible(self) -> None:
        with suppress(SaveError):  # a full disk must not hide the error that ended the run
            self._write()


def _finite(value: Any) -> Any:
    """`value` with None in the place of each number that JSON does not have: NaN and infinity."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
