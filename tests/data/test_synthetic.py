"""Synthetic digits are drawn quickly, always the same ones, and are worth learning."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from helpers.data_sets import data_config, synthetic
from torch import nn

from mnist_mlp.data.dataset import Dataset
from mnist_mlp.data.sources import load
from mnist_mlp.data.synthetic import CANVAS, _sample, draw


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return synthetic()


def test_they_have_the_form_of_mnist(digits):
    assert digits.train_images.shape == (6_000, 1, 28, 28) and digits.test_images.shape == (1_000, 1, 28, 28)
    assert digits.train_images.dtype == digits.train_labels.dtype == np.uint8
    assert digits.train_images.flags.writeable and digits.class_names == tuple("0123456789")


def test_nothing_is_written(tmp_path):
    load(data_config("synthetic", dir=str(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_they_are_white_on_black_and_fill_the_middle(digits):
    images = digits.train_images[:, 0]
    assert (images.reshape(len(images), -1).max(axis=1) > 200).all()
    assert np.median(images) == 0
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    assert border.mean() < 2
    rows = np.arange(28)
    mass = images.sum(axis=(1, 2), dtype=float)
    for axis in (1, 2):
        centre = (images.sum(axis=axis) * rows).sum(axis=1) / mass
        assert centre.mean() == pytest.approx(13.5, abs=0.1) and 0.5 < centre.std() < 1.2


def test_classes_are_balanced_and_shuffled(digits):
    assert np.bincount(digits.train_labels).tolist() == [600] * 10
    assert np.bincount(digits.test_labels).tolist() == [100] * 10
    assert len(np.unique(digits.train_labels[:50])) == 10
    assert not np.array_equal(digits.train_labels[:100], np.arange(100) % 10)


def test_no_two_images_are_alike_within_or_across_training_and_test(digits):
    images = np.concatenate([digits.train_images, digits.test_images]).reshape(7_000, -1)
    assert len({image.tobytes() for image in images}) == 7_000


def test_a_seed_draws_the_same_images_however_often_and_another_seed_draws_others():
    images, labels = draw(300, seed=0)
    again, same_labels = draw(300, seed=0)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same_labels)
    others, other_labels = draw(300, seed=1)
    assert not np.array_equal(images, others) and not np.array_equal(labels, other_labels)


def test_they_are_those_on_which_published_results_were_measured(digits):
    """Up to roundings, which another processor may make elsewhere: figures in the documentation stand on them."""
    assert digits.train_images.mean() == pytest.approx(45.107, abs=0.01)
    assert digits.train_images.std() == pytest.approx(91.487, abs=0.01)
    of_each = [digits.train_images[digits.train_labels == label].mean() for label in range(10)]
    expected = [50.13, 26.78, 42.83, 45.58, 42.97, 48.40, 53.10, 32.03, 55.98, 53.26]
    assert of_each == pytest.approx(expected, abs=0.02)


def test_a_rendering_is_sampled_as_torch_samples_it():
    """At the corners of pixels and between them."""
    chance = np.random.default_rng(0)
    drawings = chance.uniform(0, 255, (3, CANVAS, CANVAS)).astype(np.float32)
    which = np.array([2, 0, 1, 2])
    inverses = np.array(
        [[[1, 0.3, 20], [-0.2, 1.4, 25]], [[1.7, 0, 7.5], [0, 1.7, 8]], [[2, 0, 1], [0, 2, 3]], [[1, 0, 0], [0, 1, 0]]]
    )
    inverses = inverses.astype(np.float32)
    rows, columns = np.mgrid[:28, :28]
    positions = np.stack([matrix @ np.stack([columns.ravel(), rows.ravel(), np.ones(784)]) for matrix in inverses])
    shares = torch.from_numpy(2 * positions / (CANVAS - 1) - 1).mT.reshape(4, 28, 28, 2)
    pictures = torch.from_numpy(drawings[which]).double()[:, None]
    expected = torch.nn.functional.grid_sample(pictures, shares, mode="bilinear", align_corners=True)[:, 0]
    assert np.abs(_sample(drawings, which, inverses) - expected.numpy()).max() < 0.501  # whole grey levels


def test_the_data_hash_is_that_of_the_images(digits):
    assert digits.sha256 == synthetic().sha256 and len(digits.sha256) == 64


def test_a_second_or_two_is_enough():
    started = time.process_time()  # what else the machine does is no fault of ours
    synthetic()
    assert time.process_time() - started < 2


@pytest.fixture
def one_thread():
    """On cores that others want too, the steps of a small network are mostly waiting for its threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_small_network_learns_them_but_not_at_once(digits):
    """One epoch leaves something to learn, a few leave little."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        orders = [torch.randperm(6_000) for _ in range(8)]
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    images, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels).long()
    test_images, test_labels = torch.from_numpy(digits.test_images), torch.from_numpy(digits.test_labels)
    accuracies = []
    for order in orders:
        for batch in order.split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images[batch] / 255), labels[batch]).backward()
            optimizer.step()
        accuracies.append((net(test_images / 255).argmax(1) == test_labels).float().mean().item())
    assert accuracies[0] < 0.97
    assert accuracies[-1] > 0.95
