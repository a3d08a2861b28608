"""Data sets by name: what is known before reading is what is read, and what cannot be trained on is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.data_sets import data_config, synthetic
from helpers.kill_and_resume import configuration

from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.data.datamodule import build_datamodule
from mnist_mlp.data.sources import SOURCES, Source, describe, load, with_data_at


def test_each_data_set_has_a_configuration_of_its_name() -> None:
    assert {path.stem for path in (CONFIGS / "data").glob("*.yaml")} == set(SOURCES)


def test_what_is_known_before_reading_is_what_is_read() -> None:
    info, dataset = describe(data_config("synthetic")), synthetic()
    assert (info.name, info.image_shape, info.class_names) == (dataset.name, dataset.image_shape, dataset.class_names)
    assert (info.train_size, info.test_size) == (len(dataset.train_labels), len(dataset.test_labels))


def test_mnist_is_described_without_a_file_of_it(tmp_path: Path) -> None:
    info = describe(data_config("mnist", dir=str(tmp_path / "nothing")))
    assert (info.image_shape, len(info.class_names), info.train_size, info.test_size) == (
        (1, 28, 28),
        10,
        60_000,
        10_000,
    )


@pytest.mark.parametrize("ask", [partial(with_data_at, place="here"), build_datamodule])
def test_a_name_that_is_not_there_is_refused_by_whatever_looks_it_up(ask: Any) -> None:
    config = configuration()
    unknown = replace(config.data, name="minst")
    with pytest.raises(ConfigError, match=r"data\.name: expected one of mnist, .* got 'minst'"):
        ask(replace(config, data=unknown) if ask is build_datamodule else unknown)


@pytest.mark.parametrize("ask", [describe, load])
@pytest.mark.parametrize(
    ("name", "val_size", "complaint"),
    [
        ("minst", 500, "data.name: expected one of mnist, fashion_mnist, synthetic.*, got 'minst'"),
        ("synthetic", 5_991, "data.val_size: expected at most 5990 of the 6000 images, got 5991"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_one_line(ask, name: str, val_size: int, complaint: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=f"^{complaint}$"):
        ask(data_config(name, val_size=val_size))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            lambda data: {"train_images": data.train_images.transpose(0, 2, 3, 1)},
            "load gives uint8 (6000, 28, 28, 1)",
        ),
        (lambda data: {"test_images": data.test_images / np.float32(255)}, "load gives float32 (1000, 1, 28, 28)"),
        (lambda data: {"train_labels": data.train_labels + 1}, "announces 10 classes, load gives 1 to 10"),
        (lambda data: {"test_labels": data.test_labels[:-1]}, "expected 1000 whole numbers, load gives uint8 (999,)"),
    ],
    ids=["height, width, channels", "floats", "labels from 1", "a label too few"],
)
def test_a_source_that_loads_other_than_it_describes_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: Any, complaint: str
) -> None:
    own = SOURCES["synthetic"]
    monkeypatch.setitem(
        SOURCES, "mine", Source(own.describe, lambda data: replace(synthetic(), **changes(synthetic())))
    )
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load(data_config("mine"))


def test_data_that_were_moved_are_read_where_they_are_now() -> None:
    folder, downloaded = composed("data=folder", "data.path=/old").data, composed("data=mnist").data
    assert with_data_at(folder, None) is folder
    assert with_data_at(folder, "/new") == replace(folder, path="/new")
    assert with_data_at(downloaded, "/new") == replace(downloaded, dir="/new")
