"""Checkpoint plugin of the stack's trainer: when Lightning saves the stack, a member's own checkpoint is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_mlp.callbacks.loop_progress import timer_state
from mnist_mlp.config.errors import ConfigError, UserError
from mnist_mlp.engine.member import Member
from mnist_mlp.runs.checkpoint_io import BackgroundCheckpointIO
from mnist_mlp.runs.directories import CHECKPOINTS


class MemberCheckpointIO(BackgroundCheckpointIO):
    """Saves a member's checkpoint when Lightning saves the stack's; the directory in the path identifies the member.

    A single run may save to any path.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = {member.directory / CHECKPOINTS: member for member in members}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        member = self.members.get(Path(path).parent)
        if member is None and len(self.members) == 1:
            [member] = self.members.values()
        if member is None:
            raise ConfigError(
                f"save_checkpoint: expected a path in the checkpoints/ of a run of this stack, got {path}"
            )
        super().save_checkpoint(member.checkpoint(checkpoint), path, storage_options)

    def fail(self, path: Path, error: BaseException) -> None:
        if len(self.members) == 1 or not isinstance(error, UserError):
            raise error
        self.members[path.parent].fail(error)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = True) -> dict[str, Any]:
        """The progress of the loops only: `Member.restore` restores each member."""
        content = super().load_checkpoint(path)
        return {**content, "callbacks": timer_state(content), "state_dict": {}, "optimizer_states": []}
