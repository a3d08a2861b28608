"""Mutation check: change one operator, number or condition of the core at a time, and see whether a test fails.

`make mutate`, or `PYTHONPATH=tests python tests/helpers/mutate.py --sample 60 --seed 1 engine/`. The changed file is
written in a copy of the project, whose tests run in a forked process: what others wrote is imported already, and
nothing of ours, so that the change is in force there and in every process that a test starts. For each mutant the quick
tests run whose file reaches the changed line, the fastest file first, up to the first failure; then, if it survives
them, the slow ones; without those of the extras, as a copy may lack them. A mutant that survives both is printed with
its line: a test is missing, or the change makes no difference.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers import reached_lines
from helpers.mutants import Mutant, mutants

PROJECT = Path(__file__).parents[2]
PACKAGE = Path("src", "mnist_mlp")
CACHE = PROJECT / ".pytest_cache" / "reached_lines"
KINDS = {"quick": "not slow", "slow": "slow"}  # of tests, with their mark; in the order in which they run
LONGEST = 60  # seconds beside four times those that the tests took before; a mutant that takes longer hangs


class Ordered:
    """A plugin of pytest that has the files run in the order in which they were named."""

    def __init__(self, files: list[str]) -> None:
        self.files = files

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        place = {str(Path(file).resolve()): number for number, file in enumerate(self.files)}
        items.sort(key=lambda item: place[str(item.path)])


class Project:
    """A copy of the project, with the files that git would add."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "project"
        words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
        for name in listed.splitlines():
            if (PROJECT / name).is_file():
                (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, self.directory / name)
        (self.directory / "data").symlink_to(PROJECT / "data")
        compileall.compile_dir(self.directory / "src", quiet=1)
        self.recorder = directory / "recorder"
        self.recorder.mkdir()
        shutil.copy(reached_lines.__file__, self.recorder / "sitecustomize.py")

    def passes(self, files: list[str], kind: str, seconds: float, log: Path | None = None) -> int | None:
        """The exit status of the tests, None where they take longer; `log` gets the lines that they reach."""
        child = os.fork()
        if not child:
            os.setsid()
            self._become_tests(files, kind, log)
        end = time.monotonic() + seconds
        status: int | None = None
        while status is None and time.monotonic() < end:
            ended, raw = os.waitpid(child, os.WNOHANG)
            status = os.waitstatus_to_exitcode(raw) if ended else None
            time.sleep(0.02)
        try:
            os.killpg(child, signal.SIGKILL)  # and what a failed test left behind
        except ProcessLookupError:
            return status
        if status is None:
            os.waitpid(child, 0)
        return status

    def _become_tests(self, files: list[str], kind: str, log: Path | None) -> None:
        os.chdir(self.directory)
        sys.path[:] = [entry for entry in sys.path if not Path(entry).is_relative_to(PROJECT / "tests")]
        for name in [name for name in sys.modules if name.split(".")[0] == "helpers"]:
            del sys.modules[name]
        ours = [name for name in sys.modules if name.split(".")[0] in ("mnist_mlp", "hydra_plugins")]
        assert not ours, f"imported before the change: {ours}"
        os.environ.pop("PYTHONPATH", None)
        os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True  # none of a mutant may stay
        for descriptor in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        if log is not None:
            os.environ |= {
                "PYTHONPATH": str(self.recorder),
                "REACHED_LINES": str(log),
                "REACHED_PACKAGE": str(self.directory / PACKAGE),
            }
            reached_lines.record(os.environ["REACHED_PACKAGE"], str(log))
        words = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", KINDS[kind]]
        words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of Hydra, which is imported already
        os._exit(int(pytest.main([*words, *files], plugins=[Ordered(files)])))

    def survives(self, mutant: Mutant, files: list[str], kind: str, seconds: float) -> bool:
        place = self.directory / mutant.path.relative_to(PROJECT)
        before, written = place.read_text(), place.stat()
        try:
            place.write_text(mutant.text)
            os.utime(place, (written.st_atime, written.st_mtime + 10))  # that of its compiled form is another
            return self.passes(files, kind, LONGEST + 4 * seconds) == 0
        finally:
            place.write_text(before)
            os.utime(place, ns=(written.st_atime_ns, written.st_mtime_ns))

    def reached(self, file: str, kind: str) -> dict[str, Any] | None:
        """The seconds of a file's tests of one kind, and the lines of the package that they reach.

        None without such tests. Kept until either changes.
        """
        sources = [*sorted((PROJECT / PACKAGE).rglob("*.py")), PROJECT / file]
        digest = hashlib.sha256(kind.encode() + b"".join(path.read_bytes() for path in sources)).hexdigest()
        kept = CACHE / f"{digest}.json"
        if kept.exists():
            found: dict[str, Any] = json.loads(kept.read_text())
            return found
        log, began = self.directory.parent / "reached.log", time.monotonic()
        log.unlink(missing_ok=True)
        status = self.passes([file], kind, 900, log)
        seconds = time.monotonic() - began
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            print(f"left out, as it fails without a change: {file}", flush=True)
        if status != 0:
            return None
        lines: dict[str, list[int]] = {}
        for entry in sorted(set(log.read_text().splitlines() if log.exists() else ())):
            line, path = entry.split(" ", 1)
            lines.setdefault(str(Path(path).relative_to(self.directory / PACKAGE)), []).append(int(line))
        CACHE.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"seconds": seconds, "lines": lines}))
        return {"seconds": seconds, "lines": lines}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", help="beginnings of paths in the package (default: all)")
    arguments.add_argument("--sample", type=int, default=40, help="mutants to try")
    arguments.add_argument("--seed", type=int, default=0, help="of the sample")
    given = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import hydra.main  # noqa: F401  what others wrote, once for all
    import lightning.pytorch.loggers  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import tensorboard  # noqa: F401

    found = []
    for path in sorted((PROJECT / PACKAGE).rglob("*.py")):
        name = path.relative_to(PROJECT / PACKAGE)
        if name.parts[0] != "extras" and str(name).startswith(tuple(given.parts) or ""):
            found += mutants(path)
    sample = random.Random(given.seed).sample(found, min(given.sample, len(found)))
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        tests = sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "tests").rglob("test_*.py"))
        about_the_core = [test for test in tests if not test.startswith("tests/extras/")]
        killed, survivors = Counter[str](), sample
        for kind in KINDS:
            known = {test: reached for test in about_the_core if (reached := project.reached(test, kind))}
            before, survivors = survivors, []
            for mutant in before:
                name = str(mutant.path.relative_to(PROJECT / PACKAGE))
                files = [test for test in known if set(known[test]["lines"].get(name, ())) & set(mutant.lines)]
                files.sort(key=lambda test: known[test]["seconds"])
                seconds = sum(known[test]["seconds"] for test in files)
                if not files or project.survives(mutant, files, kind, seconds):
                    survivors.append(mutant)
                    reason = "survived the" if files else "reached by no"
                    print(f"{reason} {kind} tests: {PACKAGE / name}:{mutant.what}", flush=True)
                else:
                    killed[kind] += 1
            print(f"{killed[kind]} of {len(before)} killed by the {kind} tests", flush=True)
    share = killed.total() / len(sample)
    print(f"killed {share:.0%} of {len(sample)} mutants, chosen of {len(found)}")


if __name__ == "__main__":
    main()
