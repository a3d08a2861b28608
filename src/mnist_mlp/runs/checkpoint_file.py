"""Checkpoint files: written atomically; verified, and never unpickled, when read.

Torch takes seconds to import, so the functions that need it import it: a missing or damaged file is reported at once.
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_mlp.config.errors import CheckpointError, ConfigError
from mnist_mlp.config.parsing import from_dict
from mnist_mlp.config.schema import Config
from mnist_mlp.runs import directories
from mnist_mlp.runs.atomic_write import replacing, saving
from mnist_mlp.runs.directories import CHECKPOINTS
from mnist_mlp.runs.record import FORMAT, refuse_later_version

if TYPE_CHECKING:
    from mnist_mlp.model.networks import Network

BEST, LAST, PREVIOUS = directories.BEST, "last.ckpt", "previous.ckpt"


class DamagedCheckpoint(CheckpointError):
    """The file is truncated or altered; an earlier checkpoint may be intact."""


def write(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint atomically.

    Raises:
        SaveError: the disk is full, or there is no permission; `path` is unchanged.
    """
    put(packed(content), path)


def packed(content: dict[str, Any]) -> bytes:
    """The bytes of a checkpoint file."""
    import torch

    # Written by Python, not by torch, whose errors do not give the reason.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    return buffer.getvalue()


def put(data: bytes, path: Path) -> None:
    """Write a temporary file, flush it to the disk, then move it to `path`: after a crash the old file is still there.

    Raises:
        SaveError: the disk is full, or there is no permission; `path` is unchanged.
    """
    with saving(path):
        with replacing(path) as draft, draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _flush_directory(path.parent)


def keep_previous(path: Path, previous: Path) -> None:
    """Keep the file at `path` also as `previous`, before `path` is replaced: a hard link, or else a copy."""
    if path.exists():
        with saving(previous), replacing(previous) as draft:
            draft.unlink(missing_ok=True)
            try:
                draft.hardlink_to(path)
            except OSError:  # a file system without hard links
                shutil.copyfile(path, draft)


def _flush_directory(directory: Path) -> None:
    """Flush the entries of a directory to the disk, so that a rename survives a crash."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint: tensors and plain values, on the CPU.

    Raises:
        DamagedCheckpoint: the file is truncated, altered, or not a checkpoint.
        CheckpointError: the file is missing, or contains objects that would have to be unpickled.
        ConfigError: it was written by a later version of this project.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            altered = archive.testzip()
        if altered is not None:
            raise DamagedCheckpoint(f"{path}: damaged, the checksum of {altered} is wrong")
        import torch

        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: refused, it holds more than tensors and plain values and could run code when loaded"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError) as error:
        raise DamagedCheckpoint(f"{path}: damaged or not a checkpoint: expected a file written by train.py") from error
    kinds = {"state_dict": dict, "config": dict, "class_names": list, "hyper_parameters": dict}
    if not isinstance(content, dict) or not all(isinstance(content.get(name), kind) for name, kind in kinds.items()):
        raise CheckpointError(f"{path}: expected a checkpoint written by train.py, got another file of torch")
    refuse_later_version(content, path)
    return content


def find(place: Path) -> Path:
    """The checkpoint at `place`: a checkpoint file, or a run directory with a best or at least a last checkpoint.

    Raises:
        CheckpointError: there is none.
    """
    if place.is_file():
        return place
    for candidate in (place / CHECKPOINTS / BEST, place / CHECKPOINTS / LAST):
        if candidate.is_file():
            return candidate
    raise CheckpointError(f"{place}: expected a checkpoint file or a run directory with checkpoints/{BEST} in it")


def config_of(content: dict[str, Any]) -> Config:
    """The configuration in a checkpoint, typed and checked.

    Raises:
        CheckpointError: this version cannot read it.
    """
    try:
        return from_dict(content["config"], Config)
    except (KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"its configuration is not one that this version writes: {error}") from error


def network_of(content: dict[str, Any], config: Config | None = None) -> Network:
    """The trained network in a checkpoint, in evaluation mode: the EMA of the weights, if there is one.

    `config` is `config_of(content)`, if known: its checks take as long as all the rest.

    Raises:
        CheckpointError: the weights do not fit the network.
    """
    from mnist_mlp.model.networks import DataSpec, build_network

    config = config or config_of(content)
    network = build_network(config.model, DataSpec(**content["hyper_parameters"]["data"]))
    state = content["state_dict"]
    prefix = "ema_network." if config.averaging.decay > 0 else "network."
    weights = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"the weights do not fit the network that the checkpoint describes: {reason}") from error
    return network.eval()
