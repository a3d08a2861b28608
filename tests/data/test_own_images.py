"""Images of one's own, in folders or in a file of arrays: read as they are, or refused in one line that says where."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.colour_set import colour_set, write_folder, write_npz
from helpers.data_sets import data_config
from hypothesis import given as given_any
from hypothesis import strategies as st
from PIL import Image

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data import dataset as dataset_module
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.normalisation import normalisation
from mnist_mlp.data.sources import describe, load
from mnist_mlp.data.split import split

ARRAYS = colour_set()  # (N, 3, 8, 6): 36 training and 12 test images of 3 classes
GREY = colour_set(shape=(1, 8, 6))


def keys(name: str, path: Path, **changes: Any) -> DataConfig:
    return data_config(name, **({"path": str(path), "val_size": 10, "mean": None, "std": None} | changes))


def by_class(images: np.ndarray, labels: np.ndarray) -> list[list[bytes]]:
    return [sorted(image.tobytes() for image in images[labels == label]) for label in np.unique(labels)]


def assert_is(dataset: Dataset, arrays: dict[str, np.ndarray]) -> None:
    """Image by image and class by class; only the order is free."""
    for part in ("train", "test"):
        images, labels = getattr(dataset, f"{part}_images"), getattr(dataset, f"{part}_labels")
        assert images.dtype == np.uint8 and images.flags.writeable and images.flags.c_contiguous
        assert labels.dtype == np.int64
        assert by_class(images, labels) == by_class(arrays[f"{part}_images"], arrays[f"{part}_labels"])


@pytest.mark.parametrize("arrays", [ARRAYS, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("name", ["folder", "npz"])
def test_images_are_read_to_the_bit_whatever_their_shape(tmp_path: Path, name: str, arrays: Any) -> None:
    write: Callable[..., Path] = {"folder": write_folder, "npz": write_npz}[name]
    given = keys(name, write(tmp_path / "set.npz", arrays))
    info, dataset = describe(given), load(given)
    assert_is(dataset, arrays)
    assert dataset.image_shape == info.image_shape == arrays["train_images"].shape[1:]
    assert dataset.class_names == info.class_names == ("class 000", "class 001", "class 002")
    assert (info.train_size, info.test_size) == (36, 12)


def test_grey_images_may_lack_the_axis_of_channels_and_classes_their_names(tmp_path: Path) -> None:
    flat = {part: GREY[part][:, 0] for part in ("train_images", "test_images")}
    dataset = load(keys("npz", write_npz(tmp_path / "set.npz", GREY, **flat, class_names=None)))
    assert_is(dataset, GREY)
    assert dataset.class_names == ("0", "1", "2")


@given_any(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(5, 9)),
    classes=st.integers(2, 30),
    train=st.integers(5, 8),
    named=st.booleans(),
)
def test_any_shape_and_any_number_of_classes_come_back_from_a_file(
    shape: tuple[int, int, int], classes: int, train: int, named: bool
) -> None:
    arrays = colour_set(classes, train, test=1, shape=shape)
    with tempfile.TemporaryDirectory() as folder:
        changes = {} if named else {"class_names": None}
        given = keys("npz", write_npz(Path(folder) / "set.npz", arrays, **changes), val_size=0)
        info, dataset = describe(given), load(given)
    assert_is(dataset, arrays)
    assert info.image_shape == dataset.image_shape == shape
    assert info.class_names == (tuple(arrays["class_names"]) if named else tuple(map(str, range(classes))))


@pytest.mark.parametrize("labels", [np.uint8, np.int16, np.uint64], ids=lambda dtype: dtype.__name__)
def test_arrays_of_other_integers_and_orders_are_the_same_data(tmp_path: Path, labels: Any) -> None:
    changes = {f"{part}_labels": ARRAYS[f"{part}_labels"].astype(labels) for part in ("train", "test")}
    changes["train_images"] = np.asfortranarray(ARRAYS["train_images"])
    other = load(keys("npz", write_npz(tmp_path / "other.npz", ARRAYS, **changes)))
    assert_is(other, ARRAYS)
    assert other.sha256 == load(keys("npz", write_npz(tmp_path / "set.npz", ARRAYS))).sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"train_images": ARRAYS["train_images"] ^ np.eye(8, 6, dtype=np.uint8)},
        {"test_labels": ARRAYS["test_labels"][::-1].copy()},
        {"class_names": np.array(["class 000", "class 001", "class 003"])},
        {part: ARRAYS[part].swapaxes(2, 3).reshape(-1, 3, 6, 8) for part in ("train_images", "test_images")},
    ],
    ids=["pixels", "labels", "names", "shape"],
)
def test_other_data_have_another_checksum(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    whole, other = (write_npz(tmp_path / f"{len(c)}.npz", ARRAYS, **c) for c in ({}, changes))
    assert load(keys("npz", whole)).sha256 != load(keys("npz", other)).sha256


def test_the_first_images_of_folders_are_of_every_class_and_always_the_same(tmp_path: Path) -> None:
    given = keys("folder", write_folder(tmp_path / "set", ARRAYS))
    first, second = load(given), load(given)
    assert set(first.train_labels[:12]) == {0, 1, 2}
    np.testing.assert_array_equal(first.train_labels, second.train_labels)


def test_data_that_have_changed_are_refused_where_the_former_ones_are_needed(tmp_path: Path) -> None:
    given = keys("folder", write_folder(tmp_path / "set", ARRAYS))
    before = load(given).sha256
    assert load(given, sha256=before).sha256 == before
    Image.new("RGB", (6, 8)).save(tmp_path / "set/train/class 001/000001.png")
    with pytest.raises(ConfigError, match=r"^data.path: .*/set: expected the data that the network was trained on"):
        load(given, sha256=before)


# Normalisation


def test_statistics_are_those_of_the_training_images_without_validation(tmp_path: Path) -> None:
    given = keys("npz", write_npz(tmp_path / "set.npz", ARRAYS))
    dataset = load(given)
    chosen, _ = split(dataset.train_labels, 10)
    pixels = dataset.train_images[chosen].astype(np.float64) / 255
    mean, std = normalisation(given, dataset)
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 2, 3)), rtol=1e-12)


def test_what_is_given_is_taken_and_the_other_computed(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "set.npz", ARRAYS)
    dataset = load(keys("npz", path))
    _, computed = normalisation(keys("npz", path), dataset)
    assert normalisation(keys("npz", path, mean=[0.1, 0.2, 0.3]), dataset) == ((0.1, 0.2, 0.3), computed)
    assert normalisation(keys("npz", path, mean=0, std=2), dataset) == ((0.0, 0.0, 0.0), (2.0, 2.0, 2.0))


def test_a_channel_that_is_everywhere_the_same_is_not_divided_by_zero(tmp_path: Path) -> None:
    images = ARRAYS["train_images"].copy()
    images[:, 1] = 51
    given = keys("npz", write_npz(tmp_path / "set.npz", ARRAYS, train_images=images))
    mean, std = normalisation(given, load(given))
    assert mean[1] == pytest.approx(0.2) and std[1] == 1


# Refused


def refused(given: DataConfig, complaint: str, *, only_when_read: bool = False) -> None:
    for ask in (load,) if only_when_read else (describe, load):
        with pytest.raises(ConfigError, match=complaint) as caught:
            ask(given)
        assert "\n" not in str(caught.value) and str(caught.value).startswith("data.")


def test_a_set_too_small_for_any_val_size_is_told_how_many_images_it_needs(tmp_path: Path) -> None:
    for classes, each, needed in ((3, 6, 20), (12, 1, 22)):
        given = keys("npz", write_npz(tmp_path / f"{classes}.npz", colour_set(classes, each)))
        complaint = rf"at least {needed} training images \(10 of them for validation\), got {classes * each}"
        refused(given, rf"data.path: {given.path}: expected {complaint}")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"val_size": 27}, "data.val_size: expected at most 26 of the 36 images, got 27"),
        ({"path": None}, "data.path: expected the place of the images, as data=npz data.path=..., got null"),
        ({"name": "mnist"}, "data.path: expected null beside data=mnist"),
        ({"mean": [0.5, 0.5]}, r"data.mean: expected one number for each of the 3 channels, got \[0.5, 0.5\]"),
        ({"mean": True}, "data.mean: expected a number, a list of one for each channel, or null, got True"),
        ({"std": "wide"}, "data.std: expected a number, a list of one for each channel, or null, got 'wide'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_keys_that_do_not_fit_the_data_are_refused(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    given = asdict(keys("npz", write_npz(tmp_path / "set.npz", ARRAYS))) | changes
    refused(DataConfig(**given), complaint)


TRAIN, LABELS = ARRAYS["train_images"], ARRAYS["train_labels"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"test_labels": None}, "found no test_labels"),
        ({"train_images": TRAIN / 255}, r"train_images: expected .* uint8, got \(36, 3, 8, 6\) float64"),
        ({"train_images": TRAIN[0]}, r"of one shape, got \(1, 8, 6\) and \(3, 8, 6\)"),
        ({"train_images": TRAIN[0, 0]}, r"train_images: expected .*, got \(8, 6\) uint8"),
        ({"train_images": TRAIN[:0]}, r"train_images: expected .*, got \(0, 3, 8, 6\)"),
        ({"train_images": TRAIN.transpose(0, 2, 3, 1)}, r"looks like \(N, H, W, C\); write .*transpose\(0, 3, 1, 2\)"),
        ({"train_images": TRAIN[..., 1:]}, r"of one shape, got \(3, 8, 5\) and \(3, 8, 6\)"),
        ({"train_labels": LABELS[1:]}, r"a whole number for each of the 36 images, got \(35\) int64"),
        ({"train_labels": LABELS.astype(float)}, r"a whole number for each of the 36 images, got \(36\) float64"),
        ({"train_labels": np.eye(3)[LABELS]}, r"got \(36, 3\) float64"),
        ({"train_labels": LABELS - 1}, "train_labels: expected 0 to 2, one of the 3 classes, got -1"),
        ({"train_labels": LABELS + 1}, "train_labels: expected 0 to 2, one of the 3 classes, got 3"),
        ({"train_labels": LABELS.astype(np.uint64) * 2**62}, "expected 0 to 2, one of the 3 classes, got 9223372"),
        (
            {"train_labels": LABELS + 1, "class_names": None},
            "train_labels: expected 0 to 2, one of the 3 classes, got 3",
        ),
        ({"train_labels": LABELS % 2}, "train_labels: expected images of every class, none is of 2"),
        ({"test_labels": ARRAYS["test_labels"] % 2}, "test_labels: expected images of every class, none is of 2"),
        ({"class_names": np.array(["cat", "dog"])}, "train_labels: expected 0 to 1, one of the 2 classes, got 2"),
        ({"class_names": np.array(["a", "b", "a"])}, "class_names: expected different names of classes, got 'a' twice"),
        ({"class_names": np.array(["a", "b", "c\n"])}, r"class_names: expected printable names .*, got 'c\\n'"),
        ({"class_names": np.arange(3)}, r"class_names: expected a list of texts, .*, got \(3\) int64"),
        ({"train_labels": LABELS.astype(object)}, "expected a whole number for each of the 36 images"),
        ({"train_images": np.array([print] * 36)}, r"got \(36\) object"),
        ({"class_names": np.array(["a", "b", None])}, r"class_names: expected a list of texts, .*, got \(3\) object"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    refused(keys("npz", write_npz(tmp_path / "set.npz", ARRAYS, **changes)), f"set.npz: .*{complaint}")


def encrypt(path: Path) -> None:
    """Mark each member as encrypted, in its own header and in the directory at the end."""
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(signature), bytes(content)):
            content[found.start() + place] |= 1
    path.write_bytes(content)


def without_suffixes(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        arrays = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path: path.unlink(), "there is no file .*set.npz"),
        (lambda path: path.unlink() or os.mkfifo(path), "there is no file .*set.npz"),
        (lambda path: path.write_bytes(b""), "set.npz: expected a whole file of numpy.savez"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "set.npz: expected a whole file of numpy.savez"),
        (lambda path: np.save(path.with_suffix(""), TRAIN) or path.with_suffix(".npy").replace(path), "a whole file"),
        (lambda path: path.unlink() or path.mkdir(), "set.npz: cannot be read: Is a directory"),
        (lambda path: encrypt(path), "set.npz: expected a whole file of numpy.savez .*encrypted"),
        (lambda path: without_suffixes(path), "set.npz: expected the arrays train_images, .*, found no train_images"),
    ],
    ids=["missing", "a pipe", "empty", "cut short", "one array", "a folder", "encrypted", "other names"],
)
def test_a_file_that_is_none_of_arrays_is_refused(
    tmp_path: Path, damage: Callable[[Path], Any], complaint: str
) -> None:
    path = write_npz(tmp_path / "set.npz", ARRAYS)
    damage(path)
    refused(keys("npz", path), complaint)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "set.npz", ARRAYS)
    content = bytearray(path.read_bytes())
    content[content.index(ARRAYS["train_images"].tobytes()) + 100] ^= 1
    path.write_bytes(content)
    refused(keys("npz", path), "set.npz: expected a whole file of numpy.savez .*CRC", only_when_read=True)


@pytest.mark.parametrize("name", ["folder", "npz"])
def test_more_than_memory_holds_is_refused_before_it_is_read(tmp_path: Path, name: str, monkeypatch: Any) -> None:
    write: Callable[..., Path] = {"folder": write_folder, "npz": write_npz}[name]
    path = write(tmp_path / "set.npz", ARRAYS)
    monkeypatch.setattr(dataset_module.os, "sysconf", lambda name: 100)
    refused(keys(name, path), "expected at most 5e-06 GB of images .*this machine has 1e-05 GB of memory.*, got ")


FIRST, OTHER = "train/class 000/000000.png", "train/class 001/000001.png"
RGB = Image.new("RGB", (6, 8), "red")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda root: root.rename(root.with_name("elsewhere")), r"there is no folder .*/set$"),
        (lambda root: (root / "test").rename(root / "Test"), r"there is no folder .*/set/test$"),
        (
            lambda root: (root / "val").mkdir(),
            r"expected no folder .*/set/val, as data.val_size images of train/ .*; move its images into train/<class>/",
        ),
        (lambda root: (root / "train/class 000").rename(root / "train/cat"), "class 000 is not in train/"),
        (lambda root: (root / "test/class 000").rename(root / "cat"), "train/class 000 is not in test/"),
        (lambda root: (root / "train/a\nb").mkdir(), r"train: expected printable names of classes, got 'a\\nb'"),
        (lambda root: (root / "train/empty").mkdir(), r"expected images \(.png, .*\) in .*train/empty, found none"),
        (lambda root: (root / FIRST).write_bytes(b"GIF"), f"{FIRST}: not a picture: expected one of PNG"),
        (lambda root: (root / FIRST).write_bytes(b""), f"{FIRST}: empty file"),
        (lambda root: Image.new("I;16", (6, 8)).save(root / FIRST), f"{FIRST}: expected 8 bits a channel, got .*I;16"),
        (lambda root: Image.new("RGBA", (6, 8)).save(root / FIRST), f"{FIRST}: expected an image without transparency"),
    ],
)
def test_folders_that_are_no_data_set_are_refused(
    tmp_path: Path, damage: Callable[[Path], Any], complaint: str
) -> None:
    damage(write_folder(tmp_path / "set", ARRAYS))
    refused(keys("folder", tmp_path / "set"), complaint)


@pytest.mark.parametrize(
    ("arrays", "damage", "complaint"),
    [
        (ARRAYS, RGB.resize((6, 9)), "expected 6 x 8 pixels, as the first image has, got 6 x 9"),
        (GREY, RGB, "expected grey levels, as the first image has, got mode RGB"),
        (ARRAYS, Image.new("LA", (6, 8)), "expected an image without transparency"),
    ],
    ids=["size", "colour", "transparent"],
)
def test_the_first_image_that_differs_is_named(
    tmp_path: Path, arrays: Any, damage: Image.Image, complaint: str
) -> None:
    root = write_folder(tmp_path / "set", arrays)
    for path in (OTHER, "train/class 001/000004.png"):
        damage.save(root / path)
    refused(keys("folder", root), f"{re.escape(OTHER)}: {complaint}", only_when_read=True)


def test_other_kinds_of_files_that_hold_the_same_pixels_are_the_same_data(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set", GREY)
    before = load(keys("folder", root)).sha256
    path = root / FIRST
    grey = Image.open(path).copy()
    for mode, suffix in (("L", ".BMP"), ("LA", ".png"), ("L", ".tif")):
        path.unlink()
        path = path.with_suffix(suffix)
        grey.convert(mode).save(path)
        assert load(keys("folder", root)).sha256 == before, suffix


def test_what_is_no_image_by_its_name_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_folder(tmp_path / "set", ARRAYS)
    before = load(keys("folder", root)).sha256
    (root / "train/class 001/notes.txt").write_text("of a camera")
    (root / "train/class 001/.DS_Store").touch()
    (root / "train/.cache").mkdir()
    assert load(keys("folder", root)).sha256 == before
    [line] = caplog.messages  # once, although the folder is described several times
    assert line.endswith("class 001: 1 of 13 entries left out, as they are no image files by name")
