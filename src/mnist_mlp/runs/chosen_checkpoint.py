"""Chosen checkpoints: the key `checkpoint` of evaluate.py and the like, and the default where none is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnist_mlp.config.errors import CheckpointError, ConfigError
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.runs.newest import OUTPUTS, newest_or_best


def chosen(given: Any) -> list[Path]:
    """Checkpoint files for the key `checkpoint` of a command: a file, a run directory, a list of them, or None.

    None means the newest completed run, or the best of the newest sweep or search.

    Raises:
        ConfigError: the value has another type.
        CheckpointError: there is no such checkpoint.
    """
    if given is None:
        return [newest(OUTPUTS)]
    places = given if isinstance(given, list) else [given]
    if not places or not all(isinstance(place, str) for place in places):
        raise ConfigError(f"checkpoint: expected a file, a run directory, or a list of them, got {given!r}")
    return [checkpoint_file.find(Path(place).expanduser()) for place in places]


def refuse_unusable(given: Any) -> None:
    """Check the checkpoints for the key `checkpoint` of a command, before it begins.

    Raises:
        CheckpointError: one cannot be used, or their runs had different validation images.
        ConfigError: as `chosen`, or a checkpoint was written by a later version.
    """
    held_out: dict[tuple[str, int, Any], Path] = {}  # by data set, size of the validation set, checksum
    for path in chosen(given):
        content = checkpoint_file.read(path)
        try:
            config = checkpoint_file.config_of(content)
            checkpoint_file.network_of(content, config)
            data = config.data
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        held_out.setdefault((data.name, data.val_size, content.get("data_sha256")), path)
    if len(held_out) > 1:
        found = ", ".join(
            f"{size:,} of {name} ({whose}, data {str(checksum)[:12]})"
            for (name, size, checksum), whose in held_out.items()
        )
        raise CheckpointError(f"checkpoint: expected networks with the same images kept from training, got {found}")


def newest(outputs: Path) -> Path:
    """The best or else the last checkpoint of the run that `newest.newest_or_best` selects below `outputs`.

    Raises:
        CheckpointError: no run has completed and kept a checkpoint.
    """
    run = newest_or_best(outputs)
    if run is None:
        raise CheckpointError(
            f"checkpoint: none given and no completed run with a checkpoint below {outputs}; "
            "python src/train.py makes one"
        )
    return checkpoint_file.find(run.directory)
