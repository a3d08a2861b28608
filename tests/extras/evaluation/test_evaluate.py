"""The command: what it leaves agrees with independent references and with training, and bad input leaves nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import commands as started
from helpers import untrained_network as untrained
from helpers.colour_set import colour_set, write_npz
from helpers.command_lines import ask
from helpers.data_sets import synthetic
from helpers.kill_and_resume import configuration
from PIL import Image
from sklearn import metrics as reference

from mnist_mlp.config.commands import EvaluateConfig
from mnist_mlp.config.errors import CheckpointError
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.data.sources import load
from mnist_mlp.data.split import split
from mnist_mlp.extras.evaluation.evaluate import evaluate
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.runs import checkpoint_file, chosen_checkpoint
from mnist_mlp.training import train

PICTURES = {"confusion.png", "mistakes.png", "reliability.png", "risk_coverage.png"}


def settings(checkpoint: Any, **changes: Any) -> EvaluateConfig:
    given = {"split": "test", "suite": "standard", "committee": False, "data_dir": None, **changes}
    return EvaluateConfig(checkpoint=checkpoint, **given)


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Spares a test most of its time; the folders that pictures were for are appended to the list."""
    folders: list[str] = []
    monkeypatch.setattr("mnist_mlp.extras.evaluation.pictures.draw", lambda folder, *_: folders.append(folder.name))
    monkeypatch.setattr("mnist_mlp.extras.evaluation.evaluate.write_page", lambda *_: None)
    return folders


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has seen the synthetic digits once."""
    directory = tmp_path_factory.mktemp("run")
    train(configuration("trainer.max_epochs=1", "trainer.limit_test_batches=1.0", "threads=1"), directory)
    return directory


@pytest.fixture(scope="module")
def evaluated(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """The numbers, the tables, and the directory."""
    directory = tmp_path_factory.mktemp("evaluated")
    # A calibration that is not the default one: what is said must be about the calibrated probabilities.
    content = checkpoint_file.read(checkpoint_file.find(run))
    checkpoint_file.write({**content, "calibration": {"temperature": 1.5, "threshold": 0.6}}, directory / "it.ckpt")
    said = evaluate(settings(str(directory / "it.ckpt"), suite="robust"), directory)
    return json.loads((directory / "metrics.json").read_text()), said, directory


@pytest.mark.slow
def test_the_accuracy_is_the_one_that_training_reported(run: Path, evaluated: tuple[dict[str, Any], str, Path]) -> None:
    result = json.loads((run / "result.json").read_text())["metrics"]
    numbers, said, _ = evaluated
    assert numbers["accuracy"] == pytest.approx(result["test/acc"], abs=1e-6)
    assert numbers["uncalibrated"]["nll"] == pytest.approx(result["test/loss"], abs=1e-5)
    assert f"{result['test/acc']:.2%}" in said


@pytest.mark.slow
def test_the_numbers_equal_scikit_learns_on_the_calibrated_probabilities(
    evaluated: tuple[dict[str, Any], str, Path],
) -> None:
    numbers, _, directory = evaluated
    predictor = Predictor.load(directory / "it.ckpt")
    assert predictor.calibration.temperature == 1.5
    dataset = synthetic()
    with torch.inference_mode():
        logits = predictor.network.layers(predictor.network.normalise(torch.from_numpy(dataset.test_images)))
    probabilities = (logits.double() / 1.5).softmax(dim=1).numpy()
    labels, guesses = dataset.test_labels, probabilities.argmax(axis=1)
    assert numbers["accuracy"] == pytest.approx(reference.accuracy_score(labels, guesses), abs=1e-12)
    assert numbers["confusion"] == reference.confusion_matrix(labels, guesses).tolist()
    # The network's own float32 logarithms stand between these two.
    assert numbers["nll"] == pytest.approx(reference.log_loss(labels, probabilities), abs=1e-6)
    brier = reference.brier_score_loss(labels, probabilities, labels=range(10), scale_by_half=False)
    assert numbers["brier"] == pytest.approx(brier, abs=1e-6)
    f1 = reference.f1_score(labels, guesses, average=None)
    assert [scores["f1"] for scores in numbers["per_class"].values()] == pytest.approx(list(f1), abs=1e-12)
    assert numbers["macro"]["f1"] == pytest.approx(f1.mean(), abs=1e-12)
    sure = probabilities.max(axis=1) >= 0.6
    assert numbers["answered"]["coverage"] == pytest.approx(sure.mean(), abs=1e-12)
    assert numbers["answered"]["error"] == pytest.approx((guesses != labels)[sure].mean(), abs=1e-12)


@pytest.mark.slow
def test_pictures_are_left_that_can_be_looked_at(evaluated: tuple[dict[str, Any], str, Path]) -> None:
    _, _, directory = evaluated
    assert {path.name for path in directory.glob("*.png")} == PICTURES | {"robust.png"}
    for path in directory.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 700
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20  # something is drawn


@pytest.mark.slow
def test_the_robust_suite_has_a_row_for_each_kind_of_images(evaluated: tuple[dict[str, Any], str, Path]) -> None:
    numbers, said, _ = evaluated
    rows = {row["name"]: row for row in numbers["robust"]}
    plain, moved = (rows[name]["networks"][0]["accuracy"] for name in ("as they are", "shift 4 px"))
    assert plain == numbers["accuracy"] > moved
    assert {"inverted", "other people's digits"} <= rows.keys()
    assert all(name in said for name in rows)


def test_without_scikit_learn_one_line_says_what_is_left_out(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mnist_mlp.extras.evaluation.evaluate.find_spec", lambda name: None)
    draw_nothing(monkeypatch)
    evaluate(settings(str(run), suite="robust"), tmp_path)
    rows = json.loads((tmp_path / "metrics.json").read_text())["robust"]
    assert "other people's digits" not in {row["name"] for row in rows}
    assert [record.message for record in caplog.records if "scikit-learn" in record.message]


@pytest.mark.parametrize("name", ["synthetic", "npz"])
def test_digits_are_shown_black_on_white_and_images_of_ones_own_as_they_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_npz(tmp_path / "own.npz", colour_set(classes=10, shape=(1, 28, 28)))
    words = ["data=npz", f"data.path={path}", "data.val_size=10", "data.mean=0", "data.std=1"] if name == "npz" else []
    given = untrained.checkpoint(tmp_path / "untrained.ckpt", *words)
    monkeypatch.setattr("mnist_mlp.extras.evaluation.evaluate.find_spec", lambda name: None)  # it takes seconds to read
    seen: dict[str, Any] = {}
    for place in ("pictures.draw_robustness", "pictures.draw", "evaluate.write_page"):
        monkeypatch.setattr(
            f"mnist_mlp.extras.evaluation.{place}", lambda *given, place=place: seen.update({place: given})
        )
    evaluate(settings(str(given), suite="robust"), tmp_path)
    images = load(configuration(*words).data).test_images
    expected = 255 - images if name == "synthetic" else images
    np.testing.assert_array_equal(seen["pictures.draw"][2], expected)
    np.testing.assert_array_equal(seen["evaluate.write_page"][4], expected)
    np.testing.assert_array_equal(seen["pictures.draw_robustness"][1][0], expected[:6])


def test_two_networks_are_compared_and_a_committee_is_evaluated(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = draw_nothing(monkeypatch)
    other = untrained.checkpoint(tmp_path / "other.ckpt")
    said = evaluate(settings([str(run), str(other)], committee=True), tmp_path)
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    assert [network["name"] for network in numbers["networks"]] == ["network 1", "network 2", "committee"]
    test = numbers["mcnemar"]
    assert test["only_first"] > test["only_second"]
    assert test["p_value"] < 1e-6
    assert "they differ" in said
    assert drawn == ["network_1", "network_2", "committee"]
    dataset = synthetic()
    images = torch.from_numpy(dataset.test_images)
    mean = sum(Predictor.load(place).log_probabilities(images).double().exp() for place in (run, other)) / 2
    expected = float(np.mean(mean.argmax(dim=1).numpy() == dataset.test_labels))
    assert numbers["networks"][2]["accuracy"] == pytest.approx(expected, abs=1e-12)


def test_a_committee_is_calibrated_on_validation_and_never_on_the_test_set(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_nothing(monkeypatch)
    evaluate(settings([str(run), str(untrained.checkpoint(tmp_path / "other.ckpt"))], committee=True), tmp_path)
    numbers = json.loads((tmp_path / "metrics.json").read_text())["networks"][2]
    dataset = synthetic()
    _, val = split(dataset.train_labels, Predictor.load(run).config.data.val_size)

    def loss(temperature: float, images: np.ndarray, labels: np.ndarray) -> float:
        members = [Predictor.load(place) for place in (run, tmp_path / "other.ckpt")]
        mean = sum(member.log_probabilities(torch.from_numpy(images)).double().exp() for member in members) / 2
        return reference.log_loss(labels, (mean.log() / temperature).softmax(dim=1).numpy())

    found = numbers["calibration"]["temperature"]
    kept_apart = dataset.train_images[val], dataset.train_labels[val]
    assert loss(found, *kept_apart) < min(loss(found * 1.01, *kept_apart), loss(found / 1.01, *kept_apart))
    assert numbers["nll"] == pytest.approx(loss(found, dataset.test_images, dataset.test_labels), abs=1e-6)


def test_validation_is_evaluated_on_the_images_that_were_kept_apart(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_nothing(monkeypatch)
    said = evaluate(settings(str(run), split="val"), tmp_path)
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    dataset = synthetic()
    _, val = split(dataset.train_labels, Predictor.load(run).config.data.val_size)
    guesses = Predictor.load(run).log_probabilities(torch.from_numpy(dataset.train_images[val])).argmax(dim=1)
    assert numbers["accuracy"] == pytest.approx(np.mean(guesses.numpy() == dataset.train_labels[val]), abs=1e-12)
    assert numbers["accuracy"] == pytest.approx(
        json.loads((run / "result.json").read_text())["metrics"]["val/acc"], abs=1e-6
    )
    assert "the validation images" in said


def test_without_a_checkpoint_the_newest_completed_run_is_taken_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "outputs" / "train"
    for name, status in (("older", "completed"), ("newer", "completed"), ("newest", "failed")):
        untrained.checkpoint(runs / name / "checkpoints" / "best.ckpt")
        (runs / name / "result.json").write_text(json.dumps({"status": status}))
    for module in ("runs.chosen_checkpoint", "extras.evaluation.tables"):
        monkeypatch.setattr(f"mnist_mlp.{module}.OUTPUTS", tmp_path / "outputs")
    draw_nothing(monkeypatch)
    said = evaluate(settings(None), tmp_path)
    assert "newer/checkpoints/best.ckpt\n         the newest completed run\n" in said


@pytest.mark.slow
def test_colour_is_used_only_where_it_was_asked_for(
    run: Path, tmp_path: Path, evaluated: tuple[dict[str, Any], str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_nothing(monkeypatch)
    assert "\033[" in evaluate(settings(str(run)), tmp_path, colour=True)
    assert "\033[" not in evaluated[1]


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return started.run("src/evaluate.py", *words, cwd=PROJECT)


@pytest.mark.slow
def test_bad_input_gets_one_clear_line_and_leaves_nothing(tmp_path: Path) -> None:
    place, trace = tmp_path / "out", tmp_path / "trace"
    good = untrained.checkpoint(tmp_path / "good.ckpt")
    torch.save({**checkpoint_file.read(good), "class_names": [Payload(trace)]}, tmp_path / "evil.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    wrong = {
        "checkpoint=/nowhere": "expected a checkpoint file or a run directory",
        f"checkpoint={tmp_path}": "expected a checkpoint file or a run directory",
        f"checkpoint={tmp_path}/text.ckpt": "not a checkpoint",
        f"checkpoint={tmp_path}/evil.ckpt": "could run code when loaded",
        f"checkpoint=[{good},/nowhere]": "/nowhere: expected a checkpoint file",
        "checkpoint=[]": "checkpoint: expected a file, a run directory, or a list of them, got []",
        "checkpoint=7": "checkpoint: expected a file, a run directory, or a list of them, got 7",
        f"checkpoint={good} split=train": "split: expected one of test, val, got 'train'",
        f"checkpoint={good} suite=hard": "suite: expected one of standard, robust",
        f"checkpoint={good} committee=true": "committee: expected several checkpoints",
        f"checkpoint={good} splitt=val": "did you mean split?",
        f"-m checkpoint={good} split=test,val": "only training runs can be swept over",
    }

    answers = ask("evaluate", [f"{typed} hydra.run.dir={place} hydra.sweep.dir={place}" for typed in wrong])
    for (typed, expected), answer in zip(wrong.items(), answers, strict=True):
        assert expected in answer.error, (typed, answer.error)
        assert answer.error.startswith("evaluate.py: ") and answer.error.count("\n") == 1, answer.error
        assert (answer.code, answer.out) == (2, "")
    assert not place.exists()
    assert not trace.exists()


@pytest.mark.slow
def test_the_command_prints_tables_without_colour_and_leaves_its_files(tmp_path: Path) -> None:
    done = command(f"checkpoint={untrained.checkpoint(tmp_path / 'it.ckpt')}", f"hydra.run.dir={tmp_path / 'my place'}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "true \\ guess" in done.stdout
    assert "\033[" not in done.stdout
    assert {path.name for path in (tmp_path / "my place").iterdir()} >= PICTURES | {"metrics.json", "report.html"}
    assert max(map(len, done.stdout.replace(str(tmp_path), "").splitlines())) <= 80


@pytest.mark.slow
def test_a_network_is_evaluated_only_with_the_data_that_it_was_trained_on(tmp_path: Path) -> None:
    content = checkpoint_file.read(untrained.checkpoint(tmp_path / "it.ckpt"))
    torch.save({**content, "data_sha256": "0" * 64}, tmp_path / "it.ckpt")
    done = command(f"checkpoint={tmp_path / 'it.ckpt'}")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "data=synthetic: expected the data that the network was trained on, found others (SHA-256)\n"
    )


def test_networks_that_cannot_be_used_are_told_in_one_line(tmp_path: Path) -> None:
    good = untrained.checkpoint(tmp_path / "good.ckpt")
    untrained.checkpoint(tmp_path / "other.ckpt", "data.val_size=700")
    content = checkpoint_file.read(good)
    torch.save({**content, "config": {}}, tmp_path / "foreign.ckpt")
    torch.save({**content, "config": {**content["config"], "model": {"layers": 3}}}, tmp_path / "later.ckpt")
    torch.save({**content, "state_dict": {}}, tmp_path / "hollow.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    chosen_checkpoint.refuse_unusable([str(good), str(good)])
    for places, expected in {
        ("foreign.ckpt",): r"foreign\.ckpt: its configuration is not one that this version writes",
        ("later.ckpt",): r"later\.ckpt: its configuration .* model\.name: expected one of mlp, cnn",
        ("hollow.ckpt",): r"hollow\.ckpt: the weights do not fit the network",
        ("list.ckpt",): r"list\.ckpt: expected a checkpoint written by train\.py",
        ("good.ckpt", "other.ckpt"): r"the same images kept from training, got .* of synthetic .* 700 of synthetic",
    }.items():
        with pytest.raises(CheckpointError, match=expected) as caught:
            chosen_checkpoint.refuse_unusable([str(tmp_path / place) for place in places])
        assert "\n" not in str(caught.value)
