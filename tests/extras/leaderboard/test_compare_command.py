"""The command that a leaderboard prints trains exactly what won."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

import pytest

from mnist_mlp.config.compose import composed
from mnist_mlp.config.schema import CONFIGS
from mnist_mlp.extras.leaderboard import command as command_module
from mnist_mlp.extras.leaderboard.command import command
from mnist_mlp.runs.command_line import in_lines

BACK_TO_THE_DEFAULT = ("optimizer.lr=3e-3", "model.activation=relu", "augment=affine", "averaging.decay=0.0")
EXPERIMENTS = sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))


def slow(*words: str) -> Any:
    return pytest.param(words, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "words",
    [
        (),
        *(slow(f"experiment={name}") for name in EXPERIMENTS),
        *(slow(f"experiment={name}", *BACK_TO_THE_DEFAULT) for name in ("seed", "small_best", "big")),
        ("experiment=tiny", "model.hidden=[]", "trainer.precision=64-true"),
        ("optimizer=sgd", "scheduler=cosine", "scheduler.warmup=0.2", "optimizer.nesterov=true"),
        ("data=fashion_mnist", "optimizer.betas=[0.8,0.95]", "trainer.limit_train_batches=1", "threads=2"),
        ("callbacks=early_stopping", "+callbacks.own={my_file:{Mine:{name:'train/x y',every:3,of:[1,null]}},b:{C:{}}}"),
        ("trainer.gradient_clip_val=1.5", "trainer.max_time=00:00:10:00", "optimizer.eps=1e-5"),
    ],
)
def test_the_command_composes_to_the_configuration_of_the_run(words: tuple[str, ...]) -> None:
    config = asdict(composed(*words, "seed=3"))
    program, script, *typed = command(config, [3])
    assert (program, script) == ("python", "src/train.py")
    assert asdict(composed(*typed)) == config


def test_a_key_that_no_file_sets_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = command_module._keys_in_files
    monkeypatch.setattr(command_module, "_keys_in_files", lambda *groups: stated(*groups) - {"optimizer.eps"})
    config = asdict(composed("optimizer.lr=0.01", "optimizer.eps=1e-5"))
    typed = command(config, [0])[2:]
    assert typed == ["optimizer.lr=0.01", "++optimizer.eps=1e-05"]
    assert asdict(composed(*typed)) == config


def test_the_seed_is_left_out_only_where_it_is_that_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    default = {**command_module._flattened_composition(), "seed": 42}
    monkeypatch.setattr(command_module, "_flattened_composition", lambda *_: default)
    assert command(asdict(composed()), [0])[2:] == ["seed=0"]
    assert command(asdict(composed()), [42])[2:] == []


def test_the_default_needs_no_words_and_several_seeds_make_a_sweep() -> None:
    assert command(asdict(composed()), [0]) == ["python", "src/train.py"]
    line = command(asdict(composed("optimizer.lr=0.01", "model.hidden=[32]")), [0, 1, 2])
    assert line == shlex.split("python src/train.py -m model.hidden=[32] optimizer.lr=0.01 seed=0,1,2")
    assert command(asdict(composed("augment=none")), [0]) == ["python", "src/train.py", "augment=none"]
    assert command(asdict(composed()), range(3, 2_000))[-1] == "seed=range(3,2000)"
    assert command(asdict(composed()), [0, 1, 2, 3, 4, 6])[-1] == "seed=0,1,2,3,4,6"


def test_a_long_command_is_several_lines_that_a_shell_takes_for_one() -> None:
    words = ["python", "src/train.py", *(f"model.hidden=[{width}]" for width in range(20)), "hydra.run.dir=my runs"]
    lines = in_lines(words)
    assert shlex.split(lines.replace("\\\n", "")) == words
    assert 70 < max(map(len, lines.splitlines())) <= 80
    assert in_lines(words[:2]) == "  python src/train.py"
