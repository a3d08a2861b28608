"""Directory of a run: locked while it trains; its record is written first, and a resumed run must agree with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import depends_on_length, keys, keys_where, limits_steps, may_change_on_resume
from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.world import world
from mnist_mlp.runs import directories
from mnist_mlp.runs.command_line import command
from mnist_mlp.runs.directory_lock import locked
from mnist_mlp.runs.record import RunRecord, read_run, write_run


def refuse_occupied(directory: Path, name: str = "hydra.run.dir") -> None:
    """Raise ConfigError if `directory`, the value of the key `name`, holds a run: nothing is ever overwritten."""
    if directories.has_begun(directory):
        resuming = command("train.py", resume=directory)
        raise ConfigError(f"{name}: {directory} already holds a run; to resume it: {resuming}")


@contextmanager
def locked_for_run(directory: Path, config: Config) -> Iterator[None]:
    """Lock on `directory`, created if necessary, during the block; the record of the run is written there.

    Raises:
        ConfigError: another process works there; or there is a run, but `config` does not resume it, or differs.
        SaveError: the record cannot be written.
    """
    if world().rank > 0:  # rank 0 holds the lock
        yield
        return
    with locked(directory):
        if config.resume is None:
            refuse_occupied(directory)
        new = _recorded(config)
        before = read_run(directory)
        if before is not None and config.resume is not None:
            refuse_changes(new, before.config, scheduler=config.scheduler.name)
        if before is None or (config.resume is None and before.config != new):
            write_run(directory, RunRecord(config=new))
        yield


def record_changes(directory: Path, config: Config) -> None:
    """Record the settings that a resumed run has changed, such as a larger `trainer.max_epochs`.

    So it keeps them when it is resumed once more.

    Raises:
        SaveError: the record cannot be written.
    """
    record = read_run(directory)
    if world().rank == 0 and record is not None and record.config != (new := _recorded(config)):
        write_run(directory, replace(record, config=new))


def _recorded(config: Config) -> dict[str, Any]:
    return {**asdict(config), "resume": None}


def record_or_compare_data(directory: Path, sha256: str | None) -> None:
    """Record the checksum of the data of the run in `directory`; on resume, compare it. None: not compared.

    Raises:
        ConfigError: the run was started with other data.
        SaveError: the record cannot be written.
    """
    record = read_run(directory)
    if world().rank > 0 or record is None or sha256 is None:
        return
    if record.data_sha256 is None:
        write_run(directory, replace(record, data_sha256=sha256))
    elif record.data_sha256 != sha256:
        data = record.config["data"]
        place = f"data.path: {data['path']}" if data.get("path") else f"data={data['name']}"
        raise ConfigError(
            f"{place}: the data has changed since {directory} was begun (SHA-256 {record.data_sha256[:12]}..., now "
            f"{sha256[:12]}...); restore it to resume, or start a new run"
        )


def refuse_changes(new: Any, recorded: Any, *, scheduler: str, key: str = "") -> None:
    """Raise ConfigError if `new` differs from `recorded`, written when the run started, in a key that must not change.

    Both are whole configurations as plain values, or the values of `key`. A key that the version of the record did not
    have is not compared.
    """
    # A section is compared key by key; a key with a dictionary as its value, such as callbacks.own, as one.
    if key not in keys() and isinstance(new, dict) and isinstance(recorded, dict):
        for name, before in recorded.items():
            refuse_changes(new.get(name), before, scheduler=scheduler, key=f"{key}.{name}" if key else name)
    elif recorded == new or key == "resume":
        return
    elif key not in keys_where(may_change_on_resume):
        raise ConfigError(f"{key}: cannot change on resume; it was {recorded} at the start, got {new}")
    elif key in keys_where(limits_steps) and depends_on_length(scheduler):
        raise ConfigError(
            f"{key}: cannot change under scheduler={scheduler}, whose learning rates depend on it; "
            "start a new run, or use scheduler=constant for runs to be lengthened"
        )
