"""Of files that are there already, in whatever state, only the published ones are read."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.data_sets import synthetic
from helpers.tiny_archive import ARRAYS, FILES, IMAGES, archive, assert_whole, idx, in_place, write
from hypothesis import given
from hypothesis import strategies as st

from mnist_mlp.config.errors import DataError
from mnist_mlp.data.download import load_files
from mnist_mlp.data.idx import IdxFile, UnusableError


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("folder", ["tiny", "Tiny/raw"])
def test_files_in_our_layout_and_in_torchvisions_are_read_without_any_source(tmp_path, folder, ending):
    write(tmp_path / folder, ending)
    assert_whole(archive().load_from(tmp_path))


def test_a_data_set_that_nobody_may_write_to_is_read(tmp_path, monkeypatch):
    write(tmp_path / "tiny")
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("wrote to the data directory"))
    assert_whole(archive().load_from(tmp_path))


def test_arrays_can_be_written_to_as_pytorch_demands(tmp_path):
    for ending in ("", ".gz"):
        write(tmp_path / ending.strip(".") / "tiny", ending)
        dataset = archive().load_from(tmp_path / ending.strip("."))
        assert dataset.train_images.flags.writeable and dataset.test_labels.flags.writeable


def test_the_data_hash_is_one_for_the_same_data_and_another_for_other_data(tmp_path):
    write(tmp_path / "tiny")
    first = archive().load_from(tmp_path).sha256
    assert first == archive(whole=write).load_from(tmp_path / "fetched").sha256
    assert first != synthetic().sha256


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda content: b"", "holds fewer than"),
    "truncated": (lambda content: content[:-1], "holds fewer than"),
    "longer": (lambda content: content + b"\0", "holds more than"),
    "bit flipped": (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "SHA-256"),
    "an error page": (lambda content: b"<html>404</html>".ljust(len(content)), "no IDX file"),
}
GZIP_DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda content: b"", "holds fewer than"),
    "half downloaded": (lambda content: content[: len(content) // 2], "cannot be read"),
    "not gzip": (lambda content: b"<html>404</html>", "cannot be read"),
    "a bit flipped": (lambda content: content[:10] + b"\xff" + content[11:], "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_what_is_wrong_when_no_source_has_it(tmp_path, damage):
    change, reason = DAMAGES[damage]
    path = write(tmp_path / "tiny") / IMAGES
    path.write_bytes(change(FILES[IMAGES]))
    with pytest.raises(DataError, match=f"{path} .*{reason}"):
        archive().load_from(tmp_path)


@pytest.mark.parametrize("damage", GZIP_DAMAGES)
def test_a_damaged_gzip_file_is_named_with_what_is_wrong(tmp_path, damage):
    change, reason = GZIP_DAMAGES[damage]
    path = write(tmp_path / "Tiny/raw", ".gz") / f"{IMAGES}.gz"
    path.write_bytes(change(gzip.compress(FILES[IMAGES])))
    with pytest.raises(DataError, match=f"{path} .*{reason}"):
        archive().load_from(tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_fetched_again_and_replaced(tmp_path, damage):
    change, _ = DAMAGES[damage]
    path = write(tmp_path / "tiny") / IMAGES
    path.write_bytes(change(FILES[IMAGES]))
    assert_whole(archive(whole=write).load_from(tmp_path))
    assert path.read_bytes() == FILES[IMAGES]


def test_one_missing_file_is_fetched(tmp_path):
    (write(tmp_path / "tiny") / IMAGES).unlink()
    assert_whole(archive(whole=write).load_from(tmp_path))
    assert in_place(tmp_path) == FILES


def test_a_gzip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    class Bomb(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None and 0 <= size <= len(FILES[IMAGES]) + 1
            return super().read(size)

    write(tmp_path / "tiny", ".gz")
    monkeypatch.setattr(gzip, "open", lambda path: Bomb(bytes(10**6)))
    with pytest.raises(DataError, match="holds more than"):
        archive().load_from(tmp_path)


def test_files_are_verified_at_every_reading(tmp_path):
    archive(whole=write).load_from(tmp_path)
    path = tmp_path / "tiny" / IMAGES
    path.write_bytes(DAMAGES["bit flipped"][0](FILES[IMAGES]))
    with pytest.raises(DataError, match="SHA-256"):
        archive().load_from(tmp_path)


def test_the_header_must_fit_even_if_the_digest_does(tmp_path):
    """Or images of another shape would be folded into 28 x 28 noise."""
    tiny = archive().archive
    content = idx(ARRAYS[0].reshape(6, 14, 56))
    images = IdxFile(IMAGES, (6, 28, 28), hashlib.sha256(content).hexdigest())
    (write(tmp_path / "tiny") / IMAGES).write_bytes(content)
    with pytest.raises(DataError, match="no IDX file of 6 x 28 x 28 bytes"):
        load_files(dataclasses.replace(tiny, files=(images, *tiny.files[1:])), tmp_path)


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple),
    seed=st.integers(0, 9),
    ending=st.sampled_from(["", ".gz"]),
)
def test_an_array_of_any_shape_is_written_and_read_as_the_format_has_it(
    shape: tuple[int, ...], seed: int, ending: str
) -> None:
    array = np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)
    file = IdxFile("file", shape, hashlib.sha256(idx(array)).hexdigest())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{ending}"
        if ending:
            path.write_bytes(gzip.compress(idx(array)))
        else:
            file.write(array, path)
            assert path.read_bytes() == idx(array)
        np.testing.assert_array_equal(file.read(path), array)


@given(data=st.binary(max_size=40), ending=st.sampled_from(["", ".gz"]))
def test_whatever_else_the_bytes_are_they_are_refused_and_nothing_but_refused(data: bytes, ending: str) -> None:
    file = IdxFile("file", (2, 3), hashlib.sha256(idx(np.zeros((2, 3), np.uint8))).hexdigest())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{ending}"
        path.write_bytes(data)
        with pytest.raises(UnusableError):
            file.read(path)
