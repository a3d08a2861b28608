"""The photographs that come with the project: what a newcomer tries first is read right."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_mlp.config.errors import DataError
from mnist_mlp.config.parsing import composed
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.extras.handwriting.reader import OK, Reader
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.training import train

PHOTOS = sorted((PROJECT / "docs" / "photos").glob("*.jpg"))


def test_there_are_a_few_and_they_are_small() -> None:
    assert [photo.stem for photo in PHOTOS] == ["2026", "3", "42", "7"]
    assert sum(photo.stat().st_size for photo in PHOTOS) < 60_000


@pytest.mark.slow
def test_the_default_network_reads_each_as_its_name_says(tmp_path: Path) -> None:
    try:
        train(composed("threads=1", "logger=none"), tmp_path)
    except DataError as error:
        pytest.skip(str(error))
    readings = list(Reader(Predictor.load(tmp_path)).read(PHOTOS))
    assert [(reading.text, reading.status) for reading in readings] == [(photo.stem, OK) for photo in PHOTOS]
