"""--help: what fits on a terminal, says what there is, and can be pasted into any shell."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from mnist_mlp.config.commands import SCHEMAS
from mnist_mlp.config.compose import composed
from mnist_mlp.config.declare import Key, Section
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.help import first_comment, help_for
from mnist_mlp.config.keys import Entry, keys
from mnist_mlp.config.schema import CONFIGS, PROJECT


@pytest.mark.parametrize("command", SCHEMAS)
def test_help_fits_80_columns_and_tells_every_key_after_three_examples(command: str) -> None:
    text = help_for(command)
    assert max(map(len, text.splitlines())) <= 80
    assert text.index(f"python src/{command}.py") < text.index("Keys, set by")
    for name in keys(SCHEMAS[command]):
        assert re.search(rf"[ '+]{re.escape(name)}=", text), name


def test_a_command_with_groups_shows_them_before_its_keys() -> None:
    text = help_for("train")
    assert text.index("Groups, chosen by") < text.index("*adamw") < text.index("Keys, set by")
    assert "Groups" not in help_for("evaluate")


def test_a_part_of_it_can_be_asked_for() -> None:
    text = help_for("train", ["optimizer", "seed"])
    assert "*adamw" in text and "seed=0" in text
    assert "trainer.max_epochs" not in text
    assert "optimizer=sgd optimizer.momentum=0.9" in text  # what it is under the option that has it
    with pytest.raises(ConfigError, match=r"--help optimizr: expected a group.*; did you mean optimizer\?"):
        help_for("train", ["optimizr"])


def test_keys_of_the_command_come_before_those_that_others_have_too() -> None:
    text = help_for("tune").partition("Keys, set by")[2]  # behind the examples
    assert text.index("tune.trials=") < text.index("seed=0") < text.index("trainer.max_epochs=")


@pytest.mark.parametrize("name", ["blend", "augment.blend"])
def test_a_key_that_no_file_sets_is_shown_and_asked_for_with_a_plus(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    new = Entry(name=name, type="float", key=Key(doc="new"), default=0.5, section=Section())
    monkeypatch.setitem(keys(), name, new)
    assert help_for("train", [name]).startswith(f" +{name}=0.5   (float)\n")
    with pytest.raises(
        ConfigError, match=rf"^{name}: no file under configs/ sets it; type \+{name}=<value> to add it$"
    ):
        composed(f"{name}=1")


def test_the_defaults_that_are_shown_give_the_default_configuration() -> None:
    lines = [line for line in help_for("train").splitlines() if line.startswith((" '", " "))]
    shown = [shlex.split(line.partition("   (")[0])[0] for line in lines if "=" in line.partition("   (")[0]]
    overrides = [word for word in shown if word.partition("=")[0] in keys() and not word.startswith("data.dir=")]
    assert len(overrides) > 50
    assert composed(*overrides) == composed()


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("[!h]*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_option_says_what_it_is(path) -> None:
    assert 5 < len(first_comment(path)) < 300


def test_help_is_quick() -> None:
    words = [sys.executable, "-X", "importtime", str(PROJECT / "src" / "train.py"), "--help"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0
    assert "label_smoothing" in answer.stdout
    assert not {"torch", "lightning", "numpy"} & {
        line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()
    }
