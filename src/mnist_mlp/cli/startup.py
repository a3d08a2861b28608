"""Import hooks of the command line: every command that needs torch starts a second and a half sooner.

Importing torch and Lightning makes a million objects that stay. The garbage collector, which would traverse them many
times, is switched off during the import, which saves 18 % of the time.

Lightning imports torchmetrics, which imports SciPy, torchvision and Matplotlib if they are installed, for metrics of
audio and of photographs that nothing here uses. During that import torchmetrics finds them not installed, a case that
it supports. This saves another 12 %. All other code finds them.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import util
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

SLOW = {"torch", "lightning", "torchmetrics"}
HIDDEN = {"scipy", "torchvision", "matplotlib"}


def speed_up_imports() -> None:
    """Install the import hooks for the rest of the process. For commands only: a library must not alter imports."""
    if not any(isinstance(finder, FastImportFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, FastImportFinder())


class FastImportFinder(MetaPathFinder):
    """Finds each of `SLOW` with a loader that imports it in less time: see the top of this file."""

    def __init__(self) -> None:
        self.is_asking_others = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in SLOW or self.is_asking_others:
            return None
        self.is_asking_others = True
        try:
            spec = util.find_spec(fullname)
        finally:
            self.is_asking_others = False
        if spec is not None and spec.loader is not None:
            spec.loader = _FastLoader(spec.loader)
        return spec


class _FastLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _without_garbage_collection(), _not_installed() if module.__name__ == "torchmetrics" else nullcontext():
            self.loader.exec_module(module)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _not_installed() -> Iterator[None]:
    """In the block, torchmetrics' checks for the packages in `HIDDEN` answer that they are not installed."""
    from importlib import metadata  # slow, and of no use to a command that only answers --help

    import lightning_utilities.core.imports as answers

    def version(name: str) -> str:
        if name in HIDDEN:
            raise metadata.PackageNotFoundError(name)
        return metadata.version(name)

    def find_spec(name: str) -> ModuleSpec | None:
        return None if name in HIDDEN else util.find_spec(name)

    before = {name: vars(answers)[name] for name in ("_version", "find_spec")}
    vars(answers).update(_version=version, find_spec=find_spec)
    try:
        yield
    finally:
        vars(answers).update(before)
        answers.package_available.cache_clear()
        answers.module_available.cache_clear()
