"""Checkpoint files are whole, plain, and enough on their own."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.kill_and_resume import configuration

from mnist_mlp.config.errors import CheckpointError, DivergedError, SaveError
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.training import train

SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=20")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    train(configuration(*SHORT), directory)
    return directory


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and plain(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(plain(inner) for inner in value)
    return value is None or type(value) in (bool, int, float, str, torch.Tensor)


@pytest.mark.parametrize("name", [checkpoint_file.BEST, checkpoint_file.LAST])
def test_a_checkpoint_holds_plain_types_and_describes_itself(run: Path, name: str) -> None:
    content = torch.load(run / "checkpoints" / name, weights_only=True)
    assert plain({key: value for key, value in content.items() if key != "state_dict"})
    assert content["class_names"] == list("0123456789")
    assert content["normalisation"] == {"mean": 0.1307, "std": 0.3081}
    assert content["config"]["model"]["hidden"] == [32, 16]
    assert len(content["data_sha256"]) == 64
    assert content["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_the_network_is_rebuilt_from_the_checkpoint_alone(run: Path) -> None:
    content = checkpoint_file.read(checkpoint_file.find(run))
    network = checkpoint_file.network_of(content)
    images = torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8)
    hidden = (images.flatten(1) / 255 - 0.1307) / 0.3081
    weights = {name: value for name, value in content["state_dict"].items() if "layers" in name}
    for layer in (0, 3, 6):  # dropout and activation lie between
        weight, bias = (weights[f"network.layers.{layer}.{part}"] for part in ("weight", "bias"))
        hidden = hidden @ weight.T + bias
        hidden = hidden.relu() if layer < 6 else hidden
    torch.testing.assert_close(network(images), hidden, rtol=1e-4, atol=1e-5)


def test_the_best_checkpoint_is_the_best_epoch_by_validation(tmp_path: Path) -> None:
    train(configuration("optimizer.lr=0.05", "scheduler=constant", "trainer.max_epochs=5"), tmp_path)
    result = json.loads((tmp_path / directories.RESULT).read_text())
    best = max(result["history"], key=lambda row: (row["val/acc"], -row["val/loss"]))
    assert result["best_epoch"] == best["epoch"]
    assert result["metrics"]["val/acc"] == best["val/acc"]
    assert checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.BEST)["epoch"] == best["epoch"]


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_truncated_checkpoint_is_called_damaged(run: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.ckpt"
    path.write_bytes((run / "checkpoints" / checkpoint_file.BEST).read_bytes()[:cut])
    with pytest.raises(checkpoint_file.DamagedCheckpoint, match=r"cut\.ckpt: damaged"):
        checkpoint_file.read(path)


def test_a_flipped_bit_in_the_weights_is_found(run: Path, tmp_path: Path) -> None:
    content = bytearray((run / "checkpoints" / checkpoint_file.BEST).read_bytes())
    content[len(content) // 2] ^= 4
    path = tmp_path / "flipped.ckpt"
    path.write_bytes(content)
    with pytest.raises(checkpoint_file.DamagedCheckpoint, match="checksum"):
        checkpoint_file.read(path)


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("disguise", ["torch", "torch, beside real content", "bare pickle"])
def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(run: Path, tmp_path: Path, disguise: str) -> None:
    target, path = tmp_path / "written", tmp_path / "evil.ckpt"
    if disguise == "torch":
        torch.save(Payload(target), path)
    elif disguise == "bare pickle":
        path.write_bytes(pickle.dumps(Payload(target)))
    else:
        torch.save({**checkpoint_file.read(checkpoint_file.find(run)), "class_names": Payload(target)}, path)
    with pytest.raises(CheckpointError, match=r"evil\.ckpt: (refused|damaged or not a checkpoint)"):
        checkpoint_file.read(path)
    assert not target.exists()


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    checkpoint_file.write({"value": 1}, path)
    before = path.read_bytes()

    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(SaveError, match=r"last\.ckpt: cannot be written: No space left"):
        checkpoint_file.write({"value": 2}, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("links", [True, False], ids=["with links", "without"])
def test_the_file_before_outlives_its_successor_on_any_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(draft: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    last, previous = tmp_path / checkpoint_file.LAST, tmp_path / checkpoint_file.PREVIOUS
    for value in range(3):
        checkpoint_file.keep_previous(last, previous)
        checkpoint_file.write({"value": value}, last)
    assert [torch.load(path, weights_only=True)["value"] for path in (previous, last)] == [1, 2]
    assert {entry.name for entry in tmp_path.iterdir()} == {checkpoint_file.LAST, checkpoint_file.PREVIOUS}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_a_disk_that_refuses_fails_the_run_and_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    flush, flushed = os.fsync, 0

    def refuses_at_last(descriptor: int) -> None:
        nonlocal flushed
        flushed += 1
        if flushed > 8:  # two a file: its content, and its name
            raise error
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", refuses_at_last)
    with pytest.raises(SaveError, match=error.strerror):
        train(configuration("checkpoint.every_seconds=1e6"), tmp_path)
    result = json.loads((tmp_path / directories.RESULT).read_text())
    assert result["status"] == "failed"
    assert error.strerror in result["error"]
    assert checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)["global_step"] > 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_run_directory_fails_the_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError):
        train(configuration(*SHORT), tmp_path)


def test_a_diverging_run_stops_names_the_step_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    config = configuration("optimizer=sgd", "optimizer.lr=1e18", "scheduler=constant")
    with pytest.raises(DivergedError, match=r"step \d+.*smaller optimizer.lr"):
        train(config, tmp_path)
    result = json.loads((tmp_path / directories.RESULT).read_text())
    assert result["status"] == "failed"
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        assert all(value.isfinite().all() for value in checkpoint_file.read(path)["state_dict"].values())


def test_find_takes_a_file_or_the_best_of_a_run(run: Path, tmp_path: Path) -> None:
    best = run / "checkpoints" / checkpoint_file.BEST
    assert checkpoint_file.find(best) == checkpoint_file.find(run) == best
    with pytest.raises(CheckpointError, match="expected a checkpoint file or a run directory"):
        checkpoint_file.find(tmp_path)
