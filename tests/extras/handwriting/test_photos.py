"""The photographs that come with the project: what a newcomer tries first is read right."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_mlp.config.schema import PROJECT
from mnist_mlp.extras.handwriting.reader import OK, Reader
from mnist_mlp.extras.inference.predictor import Predictor

PHOTOS = sorted((PROJECT / "docs" / "photos").glob("*.jpg"))


def test_there_are_a_few_and_they_are_small() -> None:
    assert [photo.stem for photo in PHOTOS] == ["2026", "3", "42", "7"]
    assert sum(photo.stat().st_size for photo in PHOTOS) < 60_000


@pytest.mark.slow
def test_the_default_network_reads_each_as_its_name_says(default_run: Path) -> None:
    readings = list(Reader(Predictor.load(default_run)).read(PHOTOS))
    assert [(reading.text, reading.status) for reading in readings] == [(photo.stem, OK) for photo in PHOTOS]
