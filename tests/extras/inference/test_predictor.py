"""The images that a predictor takes in a notebook: uint8, or floats in [0, 1]; what it would misread is refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.colour_set import colour_set, write_npz
from helpers.kill_and_resume import configuration
from helpers.untrained_network import checkpoint

from mnist_mlp.config.errors import ConfigError, UserError
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.runs.record import RunRecord, write_run

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(str(checkpoint(tmp_path_factory.mktemp("run") / "untrained.ckpt")))  # text is a path


@pytest.mark.parametrize(
    "images",
    [IMAGES[:, None], IMAGES.reshape(3, -1), IMAGES / 255.0, torch.tensor(IMAGES) / 255, IMAGES[:, ::-1][:, ::-1]],
)
def test_numpy_and_torch_and_both_ranges_of_grey_levels_give_the_same_answer(predictor: Predictor, images: Any) -> None:
    expected = predictor.log_probabilities(torch.from_numpy(IMAGES))
    torch.testing.assert_close(predictor.log_probabilities(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (IMAGES.astype(np.float32), r"uint8 in 0..255 or as floats in \[0, 1\], got torch.float32 from 0.0 to 255.0"),
        (IMAGES * np.nan, r"got torch.float64 from nan to nan"),
        (IMAGES.astype(np.int64), r"got torch.int64$"),
        (IMAGES.astype(np.uint16), r"got torch.uint16$"),  # as a scan of 16 bits
        (IMAGES.astype(">f4"), r"expected images as uint8 in 0..255 or as floats in \[0, 1\]: given numpy array has"),
        (IMAGES.astype(object), r"expected images as uint8 in 0..255 or as floats in \[0, 1\]: can't convert"),
        (IMAGES[0], r"expected images \(N, 1, 28, 28\), got \(28, 28\)"),
        (np.zeros((28, 28, 27), np.uint8), r"got \(28, 28, 27\)"),
    ],
)
def test_images_of_another_range_or_shape_are_refused(predictor: Predictor, images: Any, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        predictor.log_probabilities(images)


def test_the_data_are_where_the_run_last_read_them_or_where_data_dir_says(tmp_path: Path) -> None:
    old, new = tmp_path / "old.npz", tmp_path / "new.npz"
    words = ("data=npz", "data.val_size=10", "data.mean=0.5", "data.std=0.2", "model.hidden=[4]")
    file = checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt", *words, f"data.path={old}")
    write_npz(new, colour_set(shape=(1, 8, 6)))
    with pytest.raises(ConfigError, match=r"^data\.path: .*old\.npz.*; data_dir=<folder or file> is where it is now"):
        Predictor.load(file).data_set(None)
    assert Predictor.load(file).data_set(str(new)).name == "npz"
    write_run(tmp_path / "run", RunRecord(config=asdict(configuration(*words, f"data.path={new}"))))
    assert Predictor.load(file).data_set(None).name == "npz"
