"""The student learns what the teachers say about the images that it sees itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import untrained_network as untrained
from helpers.kill_and_resume import configuration
from scipy.special import log_softmax, rel_entr, softmax

from mnist_mlp.config.errors import CheckpointError, ConfigError
from mnist_mlp.config.parsing import composed
from mnist_mlp.data.download import load
from mnist_mlp.extras.inference.distillation import Teachers, distillation_loss
from mnist_mlp.runs import checkpoint_file as files
from mnist_mlp.training import train

IMAGES = torch.randint(0, 256, (6, 784), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A trained one and one that was never trained."""
    trained = tmp_path_factory.mktemp("teacher")
    train(configuration("model.hidden=[64]", "trainer.max_epochs=2"), trained)
    return [str(trained), str(untrained.checkpoint(trained / "untrained.ckpt"))]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_the_divergence_from_the_softened_teacher(temperature: float) -> None:
    student, teacher = (torch.randn(5, 10, dtype=torch.float64) for _ in range(2))
    ours = distillation_loss(student, (teacher / temperature).log_softmax(1), temperature)
    said, wanted = (softmax(scores.numpy() / temperature, axis=1) for scores in (student, teacher))
    assert float(ours) == pytest.approx(temperature**2 * rel_entr(wanted, said).sum(axis=1).mean())


def test_a_student_that_says_the_same_has_nothing_to_learn() -> None:
    scores = torch.randn(5, 10).requires_grad_()
    distillation_loss(scores, (scores.detach() / 3).log_softmax(1), 3.0).backward()
    torch.testing.assert_close(scores.grad, torch.zeros(5, 10))


def test_the_target_is_the_mean_of_the_teachers_softened_probabilities(teachers: list[str]) -> None:
    networks = [files.network_of(files.read(files.find(Path(place)))) for place in teachers]
    outputs = [network(IMAGES).detach().numpy() for network in networks]
    expected = np.log(np.mean([np.exp(log_softmax(output / 2, axis=1)) for output in outputs], axis=0))
    np.testing.assert_allclose(Teachers(teachers).log_probabilities(IMAGES, 2.0), expected, atol=1e-5)


def test_a_student_comes_to_say_what_its_teacher_says(teachers: list[str], tmp_path: Path) -> None:
    """A teacher that was never trained: what it says can be learnt from it alone."""
    words = ("distill.weight=1", "distill.temperature=1", "model.dropout=0", "augment=affine", "trainer.max_epochs=5")
    train(configuration(f"distill.teacher={teachers[1]}", *words), tmp_path)
    student = files.network_of(files.read(tmp_path / "checkpoints" / files.LAST))
    images = torch.from_numpy(load("synthetic", tmp_path).test_images)
    said = Teachers(teachers[1:]).log_probabilities(images, 1.0)
    agreement = (student(images).argmax(1) == said.argmax(1)).double().mean()
    assert agreement > 0.8


def test_no_teacher_is_kept_in_the_students_checkpoint(teachers: list[str], tmp_path: Path) -> None:
    train(configuration(f"distill.teacher=[{','.join(teachers)}]", "trainer.max_steps=2"), tmp_path)
    state = files.read(tmp_path / "checkpoints" / files.LAST)["state_dict"]
    assert {name.partition(".")[0] for name in state} == {"network"}


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_teachers_of_another_number_format_look_at_deformed_images(
    teachers: list[str], precision: str, tmp_path: Path
) -> None:
    words = ("augment=shift", f"trainer.precision={precision}", "trainer.max_steps=2")
    train(configuration(f"distill.teacher=[{','.join(teachers)}]", *words), tmp_path)


def test_a_missing_teacher_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: expected a checkpoint file or a run directory"):
        train(configuration("distill.teacher=nowhere"), tmp_path)


@pytest.mark.parametrize("override", ["data.val_size=400", "data=fashion_mnist"])
def test_a_teacher_that_may_know_the_validation_images_is_refused(override: str, tmp_path: Path) -> None:
    """A student that it taught would be judged on images that it has seen through its teacher."""
    teacher = untrained.checkpoint(tmp_path / "teacher.ckpt", override)
    with pytest.raises(
        CheckpointError, match=r"distill\.teacher: expected .* got 500 of synthetic \(by the student\), "
    ):
        train(configuration(f"distill.teacher={teacher}"), tmp_path)


def test_a_teacher_may_lie_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untrained.checkpoint(tmp_path / "teacher.ckpt")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(Teachers(["~/teacher.ckpt"]).networks) == 1


@pytest.mark.parametrize("teacher", ["3", "[]", "[1]"])
def test_a_teacher_is_a_place_or_a_list_of_places(teacher: str) -> None:
    with pytest.raises(ConfigError, match=r"distill\.teacher: expected a checkpoint or a list of checkpoints"):
        composed(f"distill.teacher={teacher}")


def test_squared_error_cannot_be_distilled() -> None:
    with pytest.raises(ConfigError, match=r"distill\.teacher: expected model\.loss=cross_entropy or nll"):
        composed("distill.teacher=there", "model.loss=mse")
