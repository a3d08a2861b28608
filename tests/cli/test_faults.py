"""A disk that fails at a random moment: one line, an exit code, and what was saved before is whole.

`FAULTS=300 pytest tests/cli/test_faults.py` injects so many, and `FAULTS_SEED=7` others.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from pathlib import Path

import pytest
from helpers.commands import Command

from mnist_mlp.config.schema import PROJECT
from mnist_mlp.runs import checkpoint_file

COUNT, SEED = int(os.environ.get("FAULTS", "4")), int(os.environ.get("FAULTS_SEED", "0"))
ERRORS = (errno.ENOSPC, errno.EACCES, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.ENOENT, errno.EIO)
TINY = ("experiment=tiny", "model.hidden=[8]", "threads=1", "trainer.limit_train_batches=4", "dashboard=off")
WORDS = {
    "train": (*TINY, "logger=[tensorboard,csv]", "hydra.run.dir={}"),
    "sweep": ("-m", *TINY, "seed=0,1", "logger=none", "hydra.sweep.dir={}"),
    "evaluate": ("checkpoint={trained}", "hydra.run.dir={}"),
    "tune": (*TINY, "tune.trials=2", "logger=none", "hydra.run.dir={}"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trained") / "run"
    command = Command(PROJECT / "src" / "train.py", *TINY, f"hydra.run.dir={directory}")
    command.communicate()
    assert command.returncode == 0
    return directory


def assert_whole(directory: Path) -> None:
    """Every file that others read is one that can be read."""
    for path in directory.rglob("*.ckpt"):
        checkpoint_file.read(path)
    for path in directory.rglob("*.json"):
        json.loads(path.read_text())


@pytest.mark.slow
@pytest.mark.timeout(300 + 30 * COUNT)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.extras] * (name in ("evaluate", "tune"))) for name in WORDS]
)
def test_a_fault_in_a_write_is_told_in_a_line_and_harms_nothing_that_was_saved(
    tmp_path: Path, name: str, trained: Path
) -> None:
    chance, wrong = random.Random(f"{SEED} {name}"), []
    for _ in range(max(1, COUNT // len(WORDS))):
        directory = tmp_path / "run"
        shutil.rmtree(directory, ignore_errors=True)
        code = chance.choice(ERRORS)
        fault = f"{code}{chance.choice(['', 'f'])}:{chance.randrange(1, 40)}:{directory}"
        words = [word.replace("{trained}", str(trained)).replace("{}", str(directory)) for word in WORDS[name]]
        script = PROJECT / "src" / f"{'train' if name == 'sweep' else name}.py"
        command = Command(script, *words, FAULT=fault, PYTHONPATH=str(PROJECT / "tests" / "helpers" / "faults"))
        out, error = command.communicate()
        # 0 where the fault came later than the last write, or met what a run can do without.
        if command.returncode not in (0, 1, 2) or "Traceback" in out + error or error.count("\n") > 2:
            wrong.append(f"{errno.errorcode[code]} {fault}: {command.returncode}\n{out[-1500:]}\n{error[-3000:]}")
        if directory.exists():
            assert_whole(directory)
    assert not wrong, f"seed {SEED}: {len(wrong)}\n" + "\n".join(wrong)
