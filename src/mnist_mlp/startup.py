"""What makes every command start a second and a half sooner.

Importing torch and Lightning makes a million objects that stay. Python's search for garbage, which would go through
them over and over meanwhile, is made rarer.

Lightning imports torchmetrics, and that imports SciPy, torchvision and Matplotlib wherever they are installed, for
metrics of sound and of photographs that nothing here uses. While it is imported it is told that they are not installed,
which it can deal with; to everything else they are there as before.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import util
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Objects made until Python looks for garbage among the youngest, and how many such looks until one goes further back.
RARER = 100_000, 20, 50
UNASKED = {"scipy", "torchvision", "matplotlib"}


def hasten_imports() -> None:
    gc.set_threshold(*RARER)
    sys.meta_path.insert(0, LeanTorchmetrics())


class LeanTorchmetrics(MetaPathFinder):
    """Finds torchmetrics, once, with a loader that keeps `UNASKED` from it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torchmetrics":
            return None
        sys.meta_path.remove(self)
        spec = util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _LoaderWithoutUnasked(spec.loader)
        return spec


class _LoaderWithoutUnasked(Loader):
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _not_installed():
            self.loader.exec_module(module)


@contextmanager
def _not_installed() -> Iterator[None]:
    """Where torchmetrics asks what there is, `UNASKED` is not."""
    from importlib import metadata  # slow, and of no use to a command that only answers --help

    import lightning_utilities.core.imports as answers

    def version(name: str) -> str:
        if name in UNASKED:
            raise metadata.PackageNotFoundError(name)
        return metadata.version(name)

    def find_spec(name: str) -> ModuleSpec | None:
        return None if name in UNASKED else util.find_spec(name)

    before = {name: vars(answers)[name] for name in ("_version", "find_spec")}
    vars(answers).update(_version=version, find_spec=find_spec)
    try:
        yield
    finally:
        vars(answers).update(before)
        answers.package_available.cache_clear()
        answers.module_available.cache_clear()
