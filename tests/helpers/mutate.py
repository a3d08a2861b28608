"""Mutation check: change one operator, number or condition of the core at a time, and see whether a test fails.

`make mutate`, or `PYTHONPATH=src:tests python tests/helpers/mutate.py --sample 60 --seed 1 engine`. Each mutant is a
forked process in which torch is imported already and one of our files is compiled from its changed tree; files stay as
they are. A mutant that survives is printed with its line: a test is missing, or the change makes no difference.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "src" / "mnist_mlp"
# Files or folders of the core, and the quick tests that are about them.
TESTS = {
    "model": ["test_model.py", "engine/test_stacked_mlp.py"],
    "optim": ["optim"],
    "data/split.py": ["data/test_split.py"],
    "callbacks/early_stopping.py": ["callbacks/test_early_stopping.py"],
    "data/idx.py": ["data/test_idx.py", "data/test_download.py"],
    "data/download.py": ["data/test_download.py"],
    "data/mnist.py": ["data/test_download.py"],
    "data/sources.py": ["data/test_sources.py", "data/test_own_images.py"],
    "data/dataset.py": ["data/test_sources.py", "data/test_own_images.py"],
    "data/synthetic.py": ["data/test_synthetic.py"],
    "data/augment.py": ["data/test_augment.py"],
    "data/normalisation.py": ["data/test_own_images.py"],
    "data/npz.py": ["data/test_own_images.py"],
    "data/folder.py": ["data/test_own_images.py"],
    "data/datamodule.py": ["data/test_datamodule.py"],
    "data/limits.py": ["engine/test_run_length.py"],
    "data/loader.py": ["engine/test_chunks.py", "data/test_datamodule.py"],
    "data/seeding.py": ["engine/test_chunks.py", "data/test_augment.py", "engine/test_engines.py"],
    "config/overrides.py": ["config/test_overrides.py", "config/test_messages.py"],
    "config/parsing.py": ["config/test_json_schema.py", "config/test_messages.py", "config/test_keys.py"],
    "config/messages.py": ["config/test_messages.py"],
    "config/composition_errors.py": ["config/test_messages.py"],
    "config/compose.py": ["config/test_messages.py", "config/test_configs.py", "config/test_keys.py"],
    "config/declare.py": ["config/test_json_schema.py", "config/test_keys.py"],
    "config/json_schema.py": ["config/test_json_schema.py"],
    "config/keys.py": ["config/test_keys.py", "config/test_configs.py"],
    "runs/newest.py": ["runs/test_newest.py"],
    "runs/directories.py": ["runs/test_newest.py"],
    "runs/record.py": ["runs/test_newest.py"],
    "runs/ownership.py": ["runs/test_ownership.py"],
    "runs/atomic_write.py": ["runs/test_atomic_write.py", "runs/test_checkpoint_file.py"],
    "runs/checkpoint_file.py": ["runs/test_checkpoint_file.py"],
    "distributed/hardware.py": ["distributed/test_hardware.py"],
    "engine/chunks.py": ["engine/test_chunks.py", "engine/test_engines.py"],
    "engine/run_length.py": ["engine/test_run_length.py"],
    "engine/epoch_log.py": ["runs/test_resume.py"],
    "engine/written_step.py": ["engine/test_engines.py"],
    "engine/stacked_mlp.py": ["engine/test_stacked_mlp.py"],
    "engine/stacked_loss.py": ["engine/test_stacked_mlp.py"],
    "engine/stacked_optimizer.py": ["engine/test_stacked_optimizer.py"],
    "engine/flat.py": ["engine/test_stacked_mlp.py", "engine/test_stacked_optimizer.py"],
}
LONGEST = 300  # seconds; a mutant that takes longer hangs, which a person would notice
SWAPS: dict[type[Any], type[Any]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
}


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """The fields of a node that can be changed, each with another value."""
    if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
        yield "op", SWAPS[type(node.op)]()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield "ops", [SWAPS[type(node.ops[0])](), *node.ops[1:]]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        yield "value", not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.If | ast.IfExp):
        yield "test", ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Return) and not (node.value is None or ast.unparse(node.value) == "None"):
        yield "value", ast.Constant(None)


def mutants(path: Path) -> list[tuple[str, ast.Module]]:
    """Every change of a file: its line before and after, and the changed tree. Annotations stay."""
    text = path.read_text()
    tree = ast.parse(text)
    annotations = [
        node.annotation for node in ast.walk(tree) if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation
    ]
    unseen = {id(inner) for node in annotations for inner in ast.walk(node)}
    nodes = list(ast.walk(tree))
    made = []
    for number, node in enumerate(nodes):
        for field, value in changes(node) if id(node) not in unseen else ():
            changed = copy.deepcopy(tree)
            other = list(ast.walk(changed))[number]
            before = ast.unparse(other)
            setattr(other, field, value)
            line = getattr(node, "lineno", 0)
            first, last = (text.splitlines()[0] for text in (before, ast.unparse(other)))
            made.append(
                (f"{path.relative_to(PROJECT)}:{line}: {first}  ->  {last}", ast.fix_missing_locations(changed))
            )
    return made


def survives(path: Path, changed: ast.Module | None, tests: list[str]) -> bool:
    """Whether the tests pass with the file compiled from the changed tree."""
    child = os.fork()
    if not child:
        code = SourceFileLoader.get_code

        def compiled(loader: SourceFileLoader, name: str) -> Any:
            if changed is not None and Path(loader.path) == path:
                return compile(changed, loader.path, "exec")
            return code(loader, name)

        SourceFileLoader.get_code = compiled  # type: ignore[method-assign]
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        import pytest

        words = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
        os._exit(int(pytest.main([*words, *(str(PROJECT / "tests" / test) for test in tests)])))
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", help="beginnings of paths in the package (default: all)")
    arguments.add_argument("--sample", type=int, default=60, help="mutants to try")
    arguments.add_argument("--seed", type=int, default=0, help="of the sample")
    given = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import lightning.pytorch.loggers  # noqa: F401  what others wrote, once for all
    import matplotlib.pyplot  # noqa: F401
    import tensorboard  # noqa: F401

    chosen = [name for name in TESTS if not given.parts or name.startswith(tuple(given.parts))]
    found = []
    for name in chosen:
        place = PACKAGE / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            found += [(name, path, *mutant) for mutant in mutants(path)]
    sample = random.Random(given.seed).sample(found, min(given.sample, len(found)))
    survivors = []
    for name in sorted({name for name, *_ in sample}):
        if not survives(PACKAGE, None, TESTS[name]):
            sys.exit(f"the tests of {name} fail without a change")
    for number, (name, path, what, changed) in enumerate(sample, start=1):
        if survives(path, changed, TESTS[name]):
            survivors.append(what)
            print(f"survived: {what}", flush=True)
        if number % 10 == 0:
            print(f"{number} of {len(sample)}, {len(survivors)} survived", flush=True)
    share = 1 - len(survivors) / len(sample)
    print(f"killed {share:.0%} of {len(sample)} mutants, chosen of {len(found)}")


if __name__ == "__main__":
    main()
