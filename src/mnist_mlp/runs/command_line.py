"""Command lines for the user to paste into a shell, quoted for bash and zsh and for Hydra."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from mnist_mlp.config.overrides import NO_TEXT
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.runs.directories import shown

WIDTH = 80


def command(script: str, *arguments: str, **paths: Path) -> str:
    """`python src/<script> <arguments> <key>=<path> ...` in one line; paths are relative to the current directory."""
    return shlex.join(arguments_of(script, *arguments, **paths))


def arguments_of(script: str, *arguments: str, **paths: Path) -> list[str]:
    """The arguments of `command`, not yet quoted for a shell."""
    values = [f"{key}={_readable(str(shown(path)))}" for key, path in paths.items()]
    return [_python(), str(shown(PROJECT / "src" / script)), *arguments, *values]


def error_line(message: str) -> str:
    """The line that ends a failed command: its name and the message."""
    return f"{Path(sys.argv[0]).name}: {message}"


def sweep_overrides(jobs: Sequence[Sequence[str]], all_jobs: Sequence[Sequence[str]]) -> str:
    """Overrides of `jobs` as one sweep, `optimizer.lr=1e-3,3e-3 seed=0`, without those that all of `all_jobs` share."""
    shared = set.intersection(*map(set, all_jobs)) if len(all_jobs) > 1 else set()
    values: dict[str, list[str]] = {}
    for override in dict.fromkeys(override for job in jobs for override in job if override not in shared):
        name, _, value = override.partition("=")
        values.setdefault(name, []).append(value)
    return " ".join(f"{name}={','.join(several)}" for name, several in values.items())


def in_lines(arguments: Sequence[str], *, indent: str = "  ") -> str:
    """A command in lines of at most 80 columns, if its arguments allow, joined by backslashes for a shell."""
    lines = [indent]
    for argument in map(shlex.quote, arguments):
        end = "" if lines[-1].isspace() else " "
        if len(lines[-1] + end + argument + " \\") > WIDTH and end:
            lines[-1] += " \\"
            lines.append(f"{indent}    ")
            end = ""
        lines[-1] += end + argument
    return "\n".join(lines)


def _python() -> str:
    """The running Python, by its name if the shell finds it under this name, else by its path."""
    executable = Path(sys.executable)
    for name in ("python", executable.name):
        found = shutil.which(name)
        if found and Path(found).parent == executable.parent:
            return name
    return str(shown(executable))


def _readable(path: str) -> str:
    """`path` as a value for Hydra: in double quotes if necessary, which can stand within a shell's single quotes."""
    letters = re.fullmatch(r"[\w./:@%+ -]*[\w/]", path, re.ASCII)
    if letters and ("/" in path or (path[0].isalpha() and path.lower() not in NO_TEXT)):  # not a number, nor null
        return path
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', path)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f'"{escaped}"'
