"""Random command lines: whatever is typed, a command answers in one line or begins its work.

Keys, groups, operators, odd values and odd characters over all commands. `FUZZ=2000 pytest tests/cli/test_fuzz.py`
tries so many lines, and `FUZZ_SEED=7` others; the seed is in the name of the test's failure.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.command_lines import Answer, ask

from mnist_mlp.config.commands import SCHEMAS
from mnist_mlp.config.keys import keys
from mnist_mlp.config.schema import CONFIGS, PROJECT

LINES, SEED = int(os.environ.get("FUZZ", "45")), int(os.environ.get("FUZZ_SEED", "0"))
COMMANDS = [
    name
    for name in ("train", "train", "train", "tune", "evaluate", "export", "demo", "predict", "compare")
    if (PROJECT / "src" / f"{name}.py").exists()
]
GROUPS = sorted(path.name for path in CONFIGS.iterdir() if path.is_dir() and path.name != "hydra")


def words(text: str) -> list[str]:
    return text.split()


VALUES = ["' '", "x" * 300]
VALUES += words("0 1 -1 3 1e-3 1e400 nan inf true false null none None '' '''' ~ / .. ~/x /dev/null /dev/full a=b a:b")
VALUES += words("[] [1,2] [[1],[2]] {} {a:1} [,] [1 1,2 a,b range(3) choice(1,2) interval(0,1) tag(a,choice(1))")
VALUES += words("glob(*) shuffle(1,2) ${seed} ${nothing} ${oc.env:HOME} ${now:%Y} ??? $ ü 日本 😀 \\ \\n # %s ( )")
VALUES += words("relu Relu adamw sgd cpu gpu auto mnist synthetic tiny median 00:00:00:01 val")
OPTIONS = words("-m --multirun --help --cfg --cfg=job --cfg=hydra --info --version --run -p --resolve --hydra-help")
OPTIONS += words("--package=x --config-name=none --config-dir=/nowhere --config-path=x --format=json --csv -x -- -")
HYDRA = words("hydra/launcher=stacked hydra/launcher=none hydra.launcher.most=2 hydra.job.chdir=true hydra=1")
HYDRA += words("hydra.output_subdir=null hydra.sweep.subdir=x +hydra.sweeper.params.seed='0,1' hydra.sweeper=null")
HYDRA += words("hydra.sweeper.max_batch_size=1 hydra.mode=MULTIRUN hydra.callbacks=null hydra.run.dir=null")
# What a key of a type may hold, so that some lines are right, or nearly.
RIGHT = {"int": "1", "float": "0.5", "bool": "true", "str": "x", "list[int]": "[8,4]", "list[float]": "[0.9,0.99]"}
LETTERS = "abz09=+~-_.,:;/\\'\"()[]{}<>$%&?*!#@ \tüß"


def word(chance: random.Random, known: dict[str, Any]) -> str:
    kind = chance.random()
    if kind < 0.08:
        return chance.choice(OPTIONS)
    if kind < 0.14:
        return chance.choice(HYDRA)
    if kind < 0.18:
        return "".join(chance.choices(LETTERS, k=chance.randrange(1, 12)))
    if kind < 0.3:
        group = chance.choice(GROUPS)
        options = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
        return f"{chance.choice(['', '', '+', '~', '++'])}{group}={chance.choice([*options, *VALUES])}"
    if kind < 0.65 and known:
        key, entry = chance.choice(list(known.items()))
        choices = entry.key.choices
        return (
            f"{key}={chance.choice(sorted(choices)) if choices else RIGHT.get(str(entry.type).split(' |')[0], 'null')}"
        )
    key = chance.choice([*known, "resume", "checkpoint", "nothing.here", "model.", ".seed", "data"])
    if chance.random() < 0.1:
        key = key.upper() if chance.random() < 0.5 else key[:-1]
    return f"{chance.choice(['', '', '', '', '+', '++', '~'])}{key}={chance.choice(VALUES)}"


def command_lines(command: str, count: int, place: Path) -> list[list[str]]:
    chance = random.Random(f"{SEED} {command}")
    known = keys(SCHEMAS[command]) if command in SCHEMAS else {}
    lines = [[word(chance, known) for _ in range(chance.randrange(1, 5))] for _ in range(count)]
    if command not in SCHEMAS:
        return lines
    folders = [[f"hydra.run.dir={place}/{number}", f"hydra.sweep.dir={place}/{number}"] for number in range(count)]
    return [
        [word for word in line if word[:1] == "-"] + folder + [word for word in line if word[:1] != "-"]
        for line, folder in zip(lines, folders, strict=True)
    ]


def complaint(command: str, answer: Answer, left: bool) -> str | None:
    """What is wrong with an answer, or None."""
    if "Traceback" in answer.error or "Traceback" in answer.out:
        return "a traceback"
    if "torch was imported" in answer.error:  # the work begins
        return None
    if answer.code not in (0, 2):
        return f"exit code {answer.code}"
    if answer.code == 2 and left:
        return "a directory is left"
    if answer.code == 2 and not re.fullmatch(rf"{command}\.py: .*\n", answer.error):
        return "not one line"
    return None


@pytest.mark.slow
@pytest.mark.timeout(300 + 5 * LINES)
@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_any_command_line_is_answered_in_one_line_or_begins_its_work(command: str, tmp_path: Path) -> None:
    modules, place = tmp_path / "modules", tmp_path / "out"
    modules.mkdir()
    place.mkdir()
    (modules / "torch.py").write_text("raise SystemExit('torch was imported')")
    count = max(1, LINES * COMMANDS.count(command) // len(COMMANDS))
    lines = command_lines(command, count, place)
    wrong = []
    for begin in range(0, count, 100):
        for number, answer in enumerate(ask(command, lines[begin : begin + 100], modules=modules), start=begin):
            if (reason := complaint(command, answer, (place / str(number)).exists())) is not None:
                wrong.append(f"{reason}: {command}.py {lines[number]}\n{answer.code} {answer.error[-600:]}")
    assert not wrong, f"seed {SEED}: {len(wrong)} of {count}\n" + "\n".join(wrong)
