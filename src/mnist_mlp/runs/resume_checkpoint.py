"""Checkpoints from which a stopped run can resume."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from mnist_mlp.config.schema import Config
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.runs.directories import CHECKPOINTS
from mnist_mlp.runs.run_directory import refuse_changes

log = logging.getLogger(__name__)


def newest_checkpoint(config: Config, directory: Path) -> Path | None:
    """The newest intact checkpoint of the run in `directory`; None if there is none.

    Raises:
        ConfigError: `config` differs from that of a checkpoint in a key that must not change.
    """
    found = intact_checkpoints(config, directory)
    return found[max(found)] if found else None


def intact_checkpoints(config: Config, directory: Path) -> dict[int, Path]:
    """The intact checkpoints of the run in `directory` by their optimizer step.

    Raises:
        ConfigError: `config` differs from that of a checkpoint in a key that must not change.
    """
    found: dict[int, Path] = {}
    damaged = []
    for path in (directory / CHECKPOINTS / name for name in (checkpoint_file.LAST, checkpoint_file.PREVIOUS)):
        if not path.exists():
            continue
        try:
            content = checkpoint_file.read(path)
        except checkpoint_file.DamagedCheckpoint as error:
            damaged.append(error)
            continue
        refuse_changes(asdict(config), content["config"], scheduler=config.scheduler.name)
        found.setdefault(content["global_step"], path)
    if damaged and not found:
        log.warning("%s; there is no other checkpoint, training begins anew", damaged[0])
    elif damaged and checkpoint_file.LAST not in {path.name for path in found.values()}:
        log.warning("%s; going back to the checkpoint before it", damaged[0])
    return found
