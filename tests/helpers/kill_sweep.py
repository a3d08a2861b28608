"""Kill a sweep (SIGKILL) at random moments, resume it, and compare its jobs with those of one that was left alone.

The sweep has configuration files of its own, parameters of the sweeper and folders named by its overrides.
`PYTHONPATH=src:tests python tests/helpers/kill_sweep.py --kills 20` prints whether the jobs ended in the same bits.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from helpers.commands import PROJECT, Command
from helpers.kill_and_resume import difference

from mnist_mlp.runs import directories
from mnist_mlp.runs.record import SWEEP, read_sweep

TRAIN = PROJECT / "src" / "train.py"
MINE = """\
# @package _global_
defaults: [tiny]
model: {hidden: [8], dropout: 0.2}
trainer: {max_epochs: 2, limit_train_batches: 8, limit_test_batches: 2}
checkpoint: {every_seconds: 0.03}
"""


def begun(configurations: Path, sweep: Path, *more: str) -> list[str]:
    """The words that begin the sweep, with an experiment of one's own in the folder `configurations`."""
    (configurations / "experiment").mkdir(parents=True, exist_ok=True)
    (configurations / "experiment" / "mine.yaml").write_text(MINE)
    words = ["--config-dir", str(configurations), "-m", "experiment=mine", "logger=none", "threads=1", *more]
    words += ["+hydra.sweeper.params.seed='0,1,2'", "hydra.sweep.subdir=jobs/${hydra.job.override_dirname}"]
    return [*words, f"hydra.sweep.dir={sweep}"]


def run(words: list[str]) -> float:
    """Run to the end; the seconds that it took."""
    began = time.monotonic()
    command = Command(TRAIN, *words)
    _, error = command.communicate()
    if command.returncode != 0:
        raise RuntimeError(f"train.py {' '.join(words)} ended with {command.returncode}: {error}")
    return time.monotonic() - began


def survive(words: list[str], sweep: Path, longest: float, chance: random.Random, kills: int) -> int:
    """Begin the sweep and resume it, killed at random moments, until it is finished; how often that had an effect."""
    effective = 0
    for _ in range(kills):
        command = Command(TRAIN, *(resume(sweep) or words))
        moment = time.monotonic() + chance.uniform(0.2, longest)
        while command.poll() is None and time.monotonic() < moment:
            time.sleep(0.005)
        effective += command.poll() is None
        command.kill()
    run(resume(sweep) or words)
    return effective


def resume(sweep: Path) -> list[str]:
    """The words that resume the sweep; none where it was killed before it had left a record."""
    return [f"resume={sweep}"] if (sweep / SWEEP).exists() else []


def first_difference(sweep: Path, reference: Path) -> str | None:
    """What differs between two sweeps, or None: their jobs, and all that a job leaves."""
    own, other = read_sweep(sweep), read_sweep(reference)
    assert own is not None and other is not None
    if own.jobs != other.jobs or own.config != other.config:
        return f"the jobs: {own.jobs} against {other.jobs}"
    folders = [sorted(path.name for path in (place / "jobs").iterdir()) for place in (sweep, reference)]
    if folders[0] != folders[1]:
        return f"the folders: {folders[0]} against {folders[1]}"
    for one, job in zip(directories.jobs(sweep), directories.jobs(reference), strict=True):
        if found := difference(one.directory, job.directory):
            return f"{one.directory.name}: {found}"
    return None


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--each", type=int, default=4, help="kills of one sweep")
    arguments.add_argument("--seed", type=int, default=0, help="of the random moments")
    arguments.add_argument("words", nargs="*", help="more overrides, as hydra/launcher=stacked")
    given = arguments.parse_args()
    chance = random.Random(given.seed)
    different = effective = number = 0
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference"
        longest = run(begun(Path(folder) / "conf", reference, *given.words))
        while effective < given.kills:
            sweep, number = Path(folder) / str(number), number + 1
            words = begun(Path(folder) / "conf", sweep, *given.words)
            kills = survive(words, sweep, longest, chance, min(given.each, given.kills - effective))
            effective += kills
            found = first_difference(sweep, reference)
            different += found is not None
            print(f"sweep {number}, {kills} kills: {found or 'identical'}", flush=True)
    print(f"{effective} kills, {number - different} of {number} sweeps identical to the one that was left alone")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
