"""Checkpoints that a callback saves to a path of its own, and removes again."""

from __future__ import annotations

import time
from pathlib import Path

import lightning as L
import pytest
from helpers.kill_and_resume import configuration

from mnist_mlp.runs import checkpoint_file, checkpoint_io
from mnist_mlp.training import train


class Saver(L.Callback):
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.save_checkpoint(f"{trainer.default_root_dir}/mine/of_my_own.ckpt")


@pytest.mark.engine
@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_callback_may_save_to_a_folder_that_is_not_there_yet(tmp_path: Path, engine: str) -> None:
    words = (f"engine={engine}", "trainer.max_epochs=1", "trainer.limit_train_batches=2", "logger=none")
    train(configuration(*words), tmp_path, callbacks=[Saver()])
    saved, last = (checkpoint_file.read(tmp_path / name) for name in ("mine/of_my_own.ckpt", "checkpoints/last.ckpt"))
    assert saved["state_dict"].keys() == last["state_dict"].keys()
    assert all(value.equal(last["state_dict"][name]) for name, value in saved["state_dict"].items())


def test_a_removed_checkpoint_does_not_come_back_with_a_slow_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_file, "put", lambda packed, path: (time.sleep(0.1), path.write_bytes(packed)))
    plugin = checkpoint_io.BackgroundCheckpointIO()
    plugin.save_checkpoint({}, tmp_path / "a.ckpt")
    plugin.remove_checkpoint(tmp_path / "a.ckpt")
    plugin.teardown()
    assert not (tmp_path / "a.ckpt").exists()
