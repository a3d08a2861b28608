"""Outliers are made as they say, and a detector that learned from some of them refuses others that it never saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import untrained_network as untrained
from scipy import ndimage
from sklearn.metrics import roc_auc_score
from torch import Tensor

from mnist_mlp.data.synthetic import draw
from mnist_mlp.extras.calibration import synthetic_outliers as outliers
from mnist_mlp.extras.calibration.ood_training import QUICK, fit_ood_detector
from mnist_mlp.extras.inference import ood_detector


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    images, labels = draw(1_000, seed=1)
    return torch.from_numpy(images.reshape(-1, 784)), torch.from_numpy(labels.astype(np.int64))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_outliers_are_twenty_pixels_long_with_their_mass_in_the_middle(digits: tuple[Tensor, Tensor]) -> None:
    made = outliers.make(*digits, 600, seed=0).numpy()
    assert made.shape[1:] == (28, 28) and 500 < len(made) <= 600
    inside = 0
    for image in made:
        y, x = ndimage.center_of_mass(image.astype(float))
        rows, columns = (np.flatnonzero((image > 20).any(axis)) for axis in (1, 0))
        longest = max(np.ptp(rows), np.ptp(columns)) + 1
        inside += abs(y - 14) < 0.6 and abs(x - 14) < 0.6 and 18 <= longest <= 23
    assert inside > 0.95 * len(made)


def test_outliers_are_a_function_of_their_seed(digits: tuple[Tensor, Tensor]) -> None:
    one, again, other = (outliers.make(*digits, 60, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one[:50], other[:50])


def test_a_few_outliers_can_be_made(digits: tuple[Tensor, Tensor]) -> None:
    assert 1 <= len(outliers.make(*digits, 7, seed=0)) <= 12


def test_images_of_one_class_give_outliers_too(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    assert len(outliers.make(images[labels == 3], labels[labels == 3], 70, seed=0)) > 30


def test_halves_are_of_two_classes() -> None:
    """Images of one grey level each, by class: every half shows its own, and the other half another one."""
    labels = torch.arange(20) % 4
    pool = (10.0 + labels)[:, None, None].expand(-1, 28, 28)
    for image in outliers.halves(pool, labels, 200, generator()):
        first, last = image[0, 0], image[-1, -1]
        assert first != last
        assert torch.equal(image[:14], first.expand(14, 28)) or torch.equal(image[:, :14], first.expand(28, 14))
        assert int((image == last).sum()) == 14 * 28


def test_quarters_are_all_there_and_none_where_it_was() -> None:
    image = torch.arange(4.0).repeat_interleave(14).view(2, 28).repeat_interleave(14, 0)
    for moved in outliers.quarters(image.expand(50, 28, 28), generator()):
        assert sorted(moved[::14, ::14].flatten().tolist()) == [0, 1, 2, 3]
        assert torch.equal(moved, moved[::14, ::14].repeat_interleave(14, 0).repeat_interleave(14, 1))
        assert int((moved == image).sum()) <= 14 * 14


def test_a_part_is_what_one_straight_cut_leaves() -> None:
    seen = set()
    for part in outliers.parts(torch.ones(200, 28, 28), generator()):
        rows, columns = part.any(1), part.any(0)
        assert torch.equal(part, torch.outer(rows, columns).float())
        cut = rows if not rows.all() else columns
        assert 10 <= int(cut.sum()) <= 18 and int((cut[1:] != cut[:-1]).sum()) == 1
        seen.add((bool(rows[0]), bool(rows[-1]), bool(columns[0]), bool(columns[-1])))
    assert len(seen) == 4


def test_every_layer_is_looked_at(tmp_path: Path, digits: tuple[Tensor, Tensor]) -> None:
    for hidden, expected in (("[12,7]", 29), ("[]", 10)):
        network = untrained.predictor(tmp_path, f"model.hidden={hidden}", "model.dropout=0.2").network.eval()
        outputs = ood_detector.outputs_of_layers(network, digits[0][:5])
        assert outputs.shape == (5, expected)
        assert torch.equal(outputs[:, -10:], network.layers(network.normalise(digits[0][:5])))
        if hidden == "[12,7]":
            assert torch.equal(outputs[:, :12], network.layers[:2](network.normalise(digits[0][:5])))


def test_standardising_is_done_by_the_first_layer() -> None:
    learned = ood_detector.OodDetector(5)
    outputs, mean, deviation = torch.randn(20, 5), torch.randn(5), torch.rand(5) + 0.5
    expected = learned((outputs - mean) / deviation)
    learned.standardise(mean, deviation)
    torch.testing.assert_close(learned(outputs), expected)


def test_a_detector_refuses_images_of_a_kind_that_it_did_not_learn(
    tmp_path: Path, digits: tuple[Tensor, Tensor]
) -> None:
    """Digits on their side, against digits that it did not learn from either, by scikit-learn's measure."""
    predictor = untrained.predictor(tmp_path)
    learned = replace(predictor, ood_detector=fit_ood_detector(predictor.network, *digits, seed=0))
    images, labels = draw(300, seed=2)
    turned = np.rot90(images[np.isin(labels, (2, 4, 5, 7))], axes=(1, 2))
    scores = learned.ood_score(torch.from_numpy(np.concatenate([images, turned])))
    assert roc_auc_score(np.arange(len(scores)) >= len(images), scores) > 0.8


def test_a_detector_learns_from_all_classes_of_images_that_are_sorted_by_class(
    tmp_path: Path, digits: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    learned_from: list[Tensor] = []
    make = outliers.make
    monkeypatch.setattr(
        outliers, "make", lambda images, labels, *given: learned_from.append(labels) or make(images, labels, *given)
    )
    images, labels = digits
    order = labels.argsort()
    few = replace(QUICK, examples=200, epochs=1)
    fit_ood_detector(untrained.predictor(tmp_path).network, images[order], labels[order], 0, few)
    assert len(learned_from[0]) == 200 and len(learned_from[0].unique()) == 10


def test_fitting_is_the_same_again(tmp_path: Path, digits: tuple[Tensor, Tensor]) -> None:
    network = untrained.predictor(tmp_path).network
    small = digits[0][:100], digits[1][:100]
    one, again, other = (fit_ood_detector(network, *small, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["first.weight"], other["first.weight"])
