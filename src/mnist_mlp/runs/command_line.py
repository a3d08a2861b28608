"""Command lines to paste into a shell: quoted for bash and zsh, and for Hydra, which reads their values."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from mnist_mlp.runs.directories import shown


def command(script: str, *words: str, **paths: Path) -> str:
    """`python src/<script> <words> <key>=<path> ...`, with each path as seen from where its reader stands."""
    values = [f"{key}={_readable(str(shown(path)))}" for key, path in paths.items()]
    return shlex.join(["python", f"src/{script}", *words, *values])


def _readable(path: str) -> str:
    """`path` as Hydra reads it back: in double quotes, which a shell's single ones leave as they are, if need be."""
    if re.fullmatch(r"[\w./:@%+ -]*\S", path, re.ASCII):
        return path
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', path)
    return f'"{escaped}"'
