"""Whatever a source hands over, and wherever a fetch is cut, what `load` returns is the published data."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_archive import FILES, IMAGES, NAMES, archive, assert_whole, in_place, write

from mnist_mlp.config.errors import DataError
from mnist_mlp.data import download as source
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.idx import UnusableError
from mnist_mlp.data.mnist import FASHION_MNIST, MNIST

DATA = Path(__file__).parents[2] / "data"  # where training keeps it, so that it is fetched once


def failing(reason: Exception) -> Callable[[Path], Path]:
    """A source that dies half way through its first file."""

    def fetch(work_folder: Path) -> Path:
        (work_folder / IMAGES).write_bytes(FILES[IMAGES][:1000])
        raise reason

    return fetch


def damaged(work_folder: Path) -> Path:
    (write(work_folder) / IMAGES).write_bytes(b"half")
    return work_folder


def test_what_was_fetched_is_kept_and_read_from_disk_the_next_time(tmp_path):
    assert_whole(archive(whole=write).load_from(tmp_path))
    assert in_place(tmp_path) == FILES
    assert_whole(archive().load_from(tmp_path))


def test_gzip_files_from_a_source_are_kept_unpacked(tmp_path):
    archive(gzip=lambda work_folder: write(work_folder, ".gz")).load_from(tmp_path)
    assert in_place(tmp_path) == FILES


def test_a_source_that_fails_or_is_damaged_gives_way_to_the_next(tmp_path, caplog):
    caplog.set_level("INFO")
    sources = {"unreachable": failing(UnusableError("no")), "damaged": damaged, "whole": write}
    assert_whole(archive(**sources).load_from(tmp_path))
    assert in_place(tmp_path) == FILES
    assert caplog.messages[-1] == f"fetched tiny from whole into {tmp_path / 'tiny'}"


def test_when_all_fail_one_line_says_why_each_did_and_what_to_do(tmp_path):
    sources = {
        "mirror": failing(UnusableError("refused")),
        "shop": failing(OSError("closed")),
        "junk": damaged,
    }
    with pytest.raises(DataError) as caught:
        archive(**sources).load_from(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("mirror: refused", "shop: closed", "junk: ", "holds fewer than", "data=synthetic"):
        assert part in message
    assert f"no {', '.join(NAMES)} in {tmp_path / 'tiny'} or {tmp_path / 'Tiny' / 'raw'}" in message
    assert f"Put {', '.join(NAMES)}, each as it is or as .gz, into {tmp_path / 'tiny'}" in message


@pytest.mark.parametrize("reason", [OSError("cut"), UnusableError("cut"), KeyboardInterrupt()], ids=repr)
def test_a_fetch_cut_half_way_leaves_nothing_behind(tmp_path, reason):
    with pytest.raises((DataError, KeyboardInterrupt)):
        archive(cut=failing(reason)).load_from(tmp_path)
    assert in_place(tmp_path) == {}


def test_a_disk_that_fills_while_files_are_moved_into_place_leaves_no_half_file(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"whole: .*No space left"):
        archive(whole=write).load_from(tmp_path)
    assert in_place(tmp_path) == {}


def test_a_directory_that_cannot_be_written_is_the_reason_given(tmp_path):
    (tmp_path / "tiny").write_text("in the way")
    with pytest.raises(DataError, match=r"whole: .*File exists"):
        archive(whole=write).load_from(tmp_path)


KILLED = """
import os, pathlib, signal
from mnist_mlp.data.idx import IdxFile
from mnist_mlp.data.download import Archive, load_files

def fetch(work_folder):
    (work_folder / {name!r}).write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)

load_files(Archive("tiny", "Tiny", {files!r}, {{"killed": fetch}}), pathlib.Path({directory!r}))
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(source.__file__).parents[2])}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_process_killed_while_it_fetches_leaves_only_rubbish_that_is_swept_later(tmp_path):
    program = KILLED.format(name=IMAGES, files=archive().archive.files, directory=str(tmp_path))
    assert python(program).returncode == -9
    [rubbish] = (tmp_path / "tiny").iterdir()

    archive(whole=write).load_from(tmp_path)
    assert rubbish.exists()  # for all this process knows, it is the work of another one
    (tmp_path / "tiny" / IMAGES).unlink()
    yesterday = time.time() - 25 * 60 * 60
    os.utime(rubbish, (yesterday, yesterday))
    archive(whole=write).load_from(tmp_path)
    assert in_place(tmp_path) == FILES


def test_two_first_fetches_at_the_same_moment_both_get_the_data(tmp_path):
    both_are_fetching = threading.Barrier(2, timeout=10)
    results: list[Dataset] = []

    def slow(work_folder: Path) -> Path:
        for name, content in FILES.items():
            with (work_folder / name).open("xb") as stream:  # fails if they share a folder
                stream.write(content[:10])
                stream.flush()
                both_are_fetching.wait()
                stream.write(content[10:])
        return work_folder

    fetches = [
        threading.Thread(target=lambda: results.append(archive(slow=slow).load_from(tmp_path))) for _ in range(2)
    ]
    for fetch in fetches:
        fetch.start()
    for fetch in fetches:
        fetch.join()
    assert len(results) == 2
    for dataset in results:
        assert_whole(dataset)
    assert in_place(tmp_path) == FILES


def test_importing_the_data_sets_does_not_import_torch_or_pillow():
    done = python(
        "import sys, mnist_mlp.data.sources; print({'torch', 'torchvision', 'PIL'}.intersection(sys.modules))"
    )
    assert done.stdout == "set()\n", done.stderr


# The real data


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    try:
        return MNIST.load_from(DATA)
    except DataError as error:
        pytest.skip(str(error))


def test_mnist_is_the_official_one(mnist):
    assert mnist.train_images.shape == (60_000, 1, 28, 28) and mnist.test_images.shape == (10_000, 1, 28, 28)
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train_images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert mnist.class_names == tuple("0123456789")


def test_fashion_mnist_is_the_official_one():
    """From this disk only: the test is not worth a download."""
    published = FASHION_MNIST.archive
    debian = dataclasses.replace(published, sources=dict([next(iter(published.sources.items()))]))
    try:
        dataset = dataclasses.replace(FASHION_MNIST, archive=debian).load_from(DATA)
    except DataError as error:
        pytest.skip(str(error))
    assert np.bincount(dataset.train_labels).tolist() == [6_000] * 10
    assert dataset.class_names[dataset.train_labels[0]] == "Ankle boot"
    assert dataset.train_images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
