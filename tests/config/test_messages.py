"""What is said of a wrong configuration: the place, what was expected, and what to type instead."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from mnist_mlp.config.commands import TrainedConfig
from mnist_mlp.config.compose import composed, parse
from mnist_mlp.config.errors import ConfigError

HEADER = "# @package _global_\n"


def refusal(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        composed(*words)
    line = str(caught.value)
    assert "\n" not in line
    return line


def refusal_of_file(folder: Path, text: str | bytes, name: str = "wrong_recipe.yaml") -> str:
    """What is said of a file of one's own under experiment/."""
    (folder / "experiment").mkdir()
    (folder / "experiment" / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return refusal(f"hydra.searchpath=[file://{folder}]", "experiment=wrong_recipe")


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        ("model:\n\thidden: [16]\n", "line 3, column 1", "a tab; indent with spaces"),
        ("model:\n  hidden: [128, 64\n", "line 3, column 11", "this bracket is not closed"),
        ("seed: 1\nseed: 2\n", "line 3, column 1", "the key seed stands there twice"),
        ("seed: 'a\n", "line 3, column 1", "found unexpected end of stream; in doubt put the value in quotes"),
        ("seed: @a\n", "line 2, column 7", "in doubt put the value in quotes"),
    ],
)
def test_a_file_that_is_no_yaml_is_refused_with_its_line_and_what_to_do(
    tmp_path: Path, text: str, place: str, advice: str
) -> None:
    line = refusal_of_file(tmp_path, HEADER + text)
    assert line.startswith(f"{tmp_path}/experiment/wrong_recipe.yaml, {place}: ")
    assert advice in line


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    assert "not text in UTF-8: byte 0xe4" in refusal_of_file(tmp_path, "# gr\xe4\xdfer\n".encode("latin-1"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model:\n  hidden: [16]\n", "experiment: the chosen file puts its keys below experiment"),
        ("", "experiment: the chosen file"),
        ("defaults:\n  - override /data: synthetic\n", "experiment/wrong_recipe.yaml: expected '# @package _global_'"),
        ("\ufeff" + HEADER + "defaults:\n  - override /data: synthetic\n", "not even an invisible byte order mark"),
    ],
)
def test_a_file_without_the_package_header_is_told_what_its_first_line_has_to_be(
    tmp_path: Path, text: str, words: str
) -> None:
    line = refusal_of_file(tmp_path, text)
    assert words in line
    assert "expected '# @package _global_' as the very first line" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optimizer: sgd\n", "optimizer: expected a section with keys of its own, got 'sgd'; an option is chosen by"),
        ("optimizer: sgd\n", "under defaults: by - override /optimizer: sgd"),
        ("model:\n", "model: expected a section with keys of its own, got null; leave the empty line out"),
        ("model: 3\n", "model: expected a section with keys of its own, got 3"),
        ("logger: [csv]\n", "experiment/wrong_recipe.yaml: expected keys with values, got a list"),
        ("- a\n", "experiment/wrong_recipe.yaml: expected keys with values, got a list"),
        ("defaults:\n  - /optimizer: sgd\n", "optimizer: chosen twice; to change the choice, write - override"),
        ("defaults:\n  - override optimizer: sgd\n", "expected a / before the name of a group"),
        (
            "model:\n  hidden: 128, 64\n",
            "model.hidden: expected list[int], got '128, 64'; type 'model.hidden=[128,64]'",
        ),
        ("model:\n  hidden: [128 64]\n", "type 'model.hidden=[128,64]'"),
    ],
)
def test_a_file_of_the_wrong_shape_is_told_the_right_one(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal_of_file(tmp_path, HEADER + text)


def test_a_file_with_another_suffix_is_found_and_told_its_name(tmp_path: Path) -> None:
    line = refusal_of_file(tmp_path, HEADER + "seed: 1\n", name="wrong_recipe.yml")
    assert line == f"experiment=wrong_recipe: {tmp_path}/experiment/wrong_recipe.yml has to be called wrong_recipe.yaml"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("lr=1e-3", "unknown key lr; did you mean optimizer.lr?"),
        ("activation=relu", "did you mean model.activation?"),
        ("hiden=[3]", "did you mean model.hidden?"),
        ("epochs=3", "did you mean trainer.max_epochs or trainer.min_epochs?"),
        ("Seed=1", "did you mean seed?"),
        ("MODEL.HIDDEN=[1]", "did you mean model"),
        ("optimizer.LR=1", "did you mean optimizer.lr?"),
        ("trainer.epochs=3", "did you mean trainer.max_epochs or trainer.min_epochs?"),
        ("optimizer.zzz=4", "unknown key optimizer.zzz; --help optimizer lists those of optimizer"),
        ("experiment.x=3", "experiment: is a group and has no keys here; choose an option by experiment=<option>"),
        ("model.name=cnn", "model.channels: missing; choose by the group, model=cnn, not by model.name"),
        ("optimizer.lr=???", "optimizer.lr: missing; set it in the YAML file of its group"),
        ("optimizer.lr='${nope}'", "optimizer.lr: Interpolation key 'nope' not found"),
        ("model.activation=Relu", "did you mean relu?"),
        ("optimizer=Adam", "did you mean adam?"),
        ("hydra.launcher.most=3", "as in -m hydra/launcher=stacked"),
    ],
)
def test_what_was_meant_is_found_in_any_section_and_any_case(typed: str, words: str) -> None:
    assert words in refusal(typed)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("model.hidden=64", "type 'model.hidden=[64]'"),
        ("model.hidden=64,32", "put a list in brackets, as in 'model.hidden=[64,32]'"),
        ("optimizer=sgd,adam", "expected one value, got several; add -m for a sweep over them"),
        ("model=[mlp,cnn]", "model=[mlp,cnn]: expected one option of the group model, got 2"),
        ("model.hidden=(64,32)", "a list stands in square brackets, as 'model.hidden=[64,32]'"),
        ("model.hidden=null", "got null; an empty list is 'model.hidden=[]'"),
        ("model.hidden=[64,32", "[ and ] do not match; expected key=value, as 'model.hidden=[128,64]'"),
        ("seed=[0,1]", "a sweep over several is -m seed=0,1, without brackets"),
        ("trainer.gradient_clip_val=None", "expected float or null, got 'None'; type trainer.gradient_clip_val=null"),
        ("trainer.benchmark=maybe", "type true or false"),
        ("trainer.deterministic=maybe", "expected true, false or warn, got 'maybe'"),
        ("trainer.deterministic=2", "got 2"),
        ("optimizer.lr=interval(1e-4,1e-2)", "got an interval, which only tune.py searches"),
        ("logger=null", "logger=null: expected an option of the group logger: one of csv, mlflow, none, tensorboard"),
        ("model=[16,8]", "model=[16,8]: expected an option of the group model: one of"),
        (
            "a.b=choice(null, 1.0)",
            "functions take no null; values to choose from may be null without one, as a.b=null,1.0",
        ),
        (
            "a.b=shuffle(1.0,null)",
            "functions take no null; values to choose from may be null without one, as a.b=null,1",
        ),
        ("data.dir=/a(1),b", "put this value into two pairs of quotes: \"data.dir='/a(1),b'\""),
    ],
)
def test_a_wrong_value_is_answered_with_what_to_type_in_any_shell(typed: str, words: str) -> None:
    assert words in refusal(typed)


# What was typed, and words that the one line of answer has to hold.
WRONG = {
    "optimizer.lrr=1e-3": "unknown key optimizer.lrr; did you mean optimizer.lr?",
    "modle.hidden=[10]": "did you mean model",
    "+model.extra=3": "unknown key model.extra",
    "+nothing=3": "unknown key nothing",
    "trainer.max_epoch=3": "did you mean trainer.max_epochs?",
    "trainer.gpus=1": "unknown key trainer.gpus",
    "optimizer.momentum=0.9": "optimizer=sgd has it",
    "scheduler=constant scheduler.warmup=0.1": "not a key of the chosen scheduler",
    "data=minst": "did you mean mnist?",
    "optimizer=adamax": "did you mean adam?",
    "experiment=best_of_all": "expected one of",
    "model=rnn": "expected one of cnn, mlp",
    "model.hidden=128": "model.hidden: expected list[int], got 128",
    "model.hidden=[a]": "model.hidden: expected list[int], got ['a']",
    "model.hidden=[0]": "model.hidden: expected a number at least 1, got 0",
    "model.hidden=[-3,5]": "model.hidden: expected a number at least 1, got -3",
    "model.hidden=[1.5]": "model.hidden: expected list[int]",
    "model.hidden=null": "model.hidden: expected list[int], got null",
    "model.activation=relux": "did you mean relu?",
    "model.dropout=1": "model.dropout: expected a number below 1, got 1",
    "model.dropout=-0.1": "at least 0",
    "model.loss=hinge": "expected one of cross_entropy, nll, mse",
    "model.label_smoothing=2": "model.label_smoothing",
    "optimizer.lr=nan": "expected a finite number, got nan",
    "optimizer.lr=inf": "expected a finite number, got inf",
    "optimizer.lr=fast": "optimizer.lr: expected float, got 'fast'",
    "optimizer.betas=[0.9]": "optimizer.betas: expected two numbers",
    "optimizer=sgd optimizer.momentum=0 optimizer.nesterov=true": "momentum above 0",
    "scheduler.warmup=1.5": "scheduler.warmup",
    "seed=-1": "seed: expected a number at least 0, got -1",
    "seed=1.5": "seed: expected int, got 1.5",
    "logger=csv,tensorboard": "put a list in brackets, as in 'logger=[csv,tensorboard]'",
    "seed=range(3)": "seed=range(3): expected one value, got several; add -m for a sweep",
    "seed": "cannot read the override 'seed'",
    "metrics=[f1]": "checkpoint.monitor: expected one of val/loss, val/f1, got 'val/acc'; metrics=[acc,f1] adds",
    "callbacks=early_stopping callbacks.early_stopping.monitor=val/f1": "monitor: expected one of val/loss, val/acc",
    "callbacks=early_stopping callbacks.early_stopping.monitor=train/loss": "metric of validation, as val/loss, got",
    "checkpoint.monitor=acc": "checkpoint.monitor: expected a metric of validation, as val/acc, got 'acc'",
    "checkpoint.monitor=my_own": "as val/my_own, got 'my_own'",
    "checkpoint.monitor=val/loss": "checkpoint.mode: expected min beside checkpoint.monitor=val/loss, got max",
    "callbacks=early_stopping callbacks.early_stopping.monitor=val/acc": "mode: expected max beside callbacks.early",
    "+callbacks.own=[a]": "callbacks.own: expected keys with values, as in {a: 1}, got a list",
    "callbacks.own={a:{B:{}}}": "callbacks.own: an entry is added with a + before the key",
    "threads=0": "threads: expected a number at least 1",
    "data.batch_size=0": "data.batch_size: expected a number at least 1",
    "data.batch_size=1e3": "data.batch_size: expected int, got 1000.0",
    "data.std=0": "data.std: expected a number above 0",
    "data.dir=null": "data.dir",
    "trainer.accelerator=warp": "trainer.accelerator: expected one of",
    "trainer.precision=16": "trainer.precision: expected one of",
    "trainer.max_epochs=null": "trainer.max_epochs: expected int, got null",
    "data.dir=~/größe seed=x": "seed: expected int",
    "trainer.fast_dev_run=abc": "expected int or bool, got 'abc'; type true, false or a whole number",
    f"seed=1{400 * '0'}": "seed: expected a number below 4294967296",
    f"trainer.max_epochs=1{400 * '0'}": "trainer.max_epochs: expected",
    "trainer.max_time=soon": "trainer.max_time: expected DD:HH:MM:SS",
    "trainer.max_time=00:00:00:00": "trainer.max_time: expected DD:HH:MM:SS above zero",
    "trainer.profiler=fast": "trainer.profiler: expected one of simple, advanced",
    "data.dir=": "data.dir: expected a file or folder, got an empty text",
    "optimizer.betas=[0.9,null]": "optimizer.betas: expected list[float], got [0.9, None]\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("typed", WRONG)
def test_a_wrong_key_option_or_value_is_refused_by_name_with_what_was_expected(typed: str) -> None:
    assert WRONG[typed].strip() in refusal(*typed.split())


@pytest.mark.parametrize(
    "typed", ["model.hidden=[[16,8]]", "model.hidden=[16,[8]]", "optimizer.betas=[[0.9,0.99],0.9]"]
)
def test_a_list_within_a_list_is_refused(typed: str) -> None:
    key = typed.partition("=")[0]
    assert refusal(typed).startswith(f"{key}: expected list[")


@pytest.mark.parametrize("name", ["limit_train_batches", "limit_val_batches", "overfit_batches", "val_check_interval"])
def test_a_share_of_the_batches_is_at_most_one_and_a_number_of_them_is_whole(name: str) -> None:
    expected = "expected a whole number of batches, as trainer.{0}=2, or a share from 0.0 to 1.0, got {1}"
    assert expected.format(name, 1.5) in refusal(f"trainer.{name}=1.5")
    assert getattr(composed(f"trainer.{name}=1").trainer, name) == 1
    assert getattr(composed(f"trainer.{name}=0.5").trainer, name) == 0.5


@pytest.mark.parametrize(
    "typed",
    [
        "averaging.decay=0.0 trainer.precision=bf16-true",
        "averaging.decay=0.9 trainer.precision=bf16-mixed",
        "optimizer=sgd optimizer.momentum=0.0 optimizer.nesterov=false",
        "optimizer=sgd optimizer.momentum=0.1 optimizer.nesterov=true",
        "trainer.deterministic=false",
        "trainer.deterministic=warn",
        "trainer.devices=1",
        "trainer.devices=[0,2]",
        "trainer.devices=auto",
        "trainer.limit_val_batches=0.0",
        "trainer.limit_val_batches=1.0",
        "trainer.max_time=00:00:00:01",
        "metrics=[acc,f1] checkpoint.monitor=val/f1",
        "metrics=[acc] checkpoint.monitor=val/loss checkpoint.mode=min",
        "checkpoint.monitor=val/my_own",
        "callbacks=early_stopping callbacks.early_stopping.monitor=my_own",
    ],
)
def test_what_is_just_allowed_is_accepted(typed: str) -> None:
    given = [word.partition("=") for word in typed.split() if "." in word.partition("=")[0]]
    config = composed(*typed.split())
    for key, _, value in given:
        assert str(reduce(getattr, key.split("."), config)).replace(" ", "").lower() == value


@pytest.mark.parametrize("path", ["/a#b", "/a (b)", "/a=b", "/größe", "/数字", "/a;b", "/a&b", "it!"])
def test_a_path_may_hold_characters_that_mean_something_to_hydra(path: str) -> None:
    assert composed(f"data.dir={path}").data.dir == str(Path(path).absolute())


def test_a_relative_path_is_seen_from_where_the_command_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert composed("data.dir=here/../images").data.dir == "/images"
    hydra = SimpleNamespace(runtime=SimpleNamespace(cwd="/typed"))  # a job under hydra.job.chdir=true
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: hydra)
    assert composed("data.dir=images").data.dir == "/typed/images"


def test_a_path_may_begin_with_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/she")
    assert composed("data.dir=~/mnist").data.dir == "/home/she/mnist"
    assert parse(OmegaConf.create({"checkpoint": None, "data_dir": "~/mnist"}), TrainedConfig).data_dir == (
        "/home/she/mnist"
    )
