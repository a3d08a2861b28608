"""Command lines to paste into a shell: quoted for bash and zsh, and for Hydra, which reads their values."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from mnist_mlp.config.schema import PROJECT
from mnist_mlp.runs.directories import shown

WIDTH = 80


def command(script: str, *words: str, **paths: Path) -> str:
    """`python src/<script> <words> <key>=<path> ...` in one line, with paths as seen from where its reader stands."""
    return shlex.join(words_of(script, *words, **paths))


def words_of(script: str, *words: str, **paths: Path) -> list[str]:
    """The words of `command`, before a shell reads them."""
    values = [f"{key}={_readable(str(shown(path)))}" for key, path in paths.items()]
    return [_python(), str(shown(PROJECT / "src" / script)), *words, *values]


def in_common_form(jobs: Sequence[Sequence[str]], every: Sequence[Sequence[str]]) -> str:
    """`optimizer.lr=1e-3,3e-3 seed=0`: the words of some jobs of a sweep, without those that `every` job of it has."""
    shared = set.intersection(*map(set, every)) if len(every) > 1 else set()
    values: dict[str, list[str]] = {}
    for word in dict.fromkeys(word for words in jobs for word in words if word not in shared):
        name, _, value = word.partition("=")
        values.setdefault(name, []).append(value)
    return " ".join(f"{name}={','.join(several)}" for name, several in values.items())


def in_lines(words: Sequence[str], *, indent: str = "  ") -> str:
    """A command behind `indent`, within 80 columns as far as its words allow: lines that a shell takes for one."""
    lines = [indent]
    for word in map(shlex.quote, words):
        end = "" if lines[-1].isspace() else " "
        if len(lines[-1] + end + word + " \\") > WIDTH and end:
            lines[-1] += " \\"
            lines.append(f"{indent}    ")
            end = ""
        lines[-1] += end + word
    return "\n".join(lines)


def _python() -> str:
    """The Python that runs this, by the name under which the reader's shell finds it, else by its path."""
    executable = Path(sys.executable)
    for name in ("python", executable.name):
        found = shutil.which(name)
        if found and Path(found).parent == executable.parent:
            return name
    return str(shown(executable))


def _readable(path: str) -> str:
    """`path` as Hydra reads it back: in double quotes, which a shell's single ones leave as they are, if need be."""
    if re.fullmatch(r"[\w./:@%+ -]*\S", path, re.ASCII):
        return path
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', path)
    return f'"{escaped}"'
