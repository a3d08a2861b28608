"""Each corruption does what its name says, and the same thing every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from mnist_mlp.data.synthetic import draw
from mnist_mlp.extras.evaluation.corruptions import (
    CORRUPTIONS,
    Corruption,
    blur,
    invert,
    noise,
    occlude,
    other_people,
    rotate,
    scale,
    shift,
)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """`(40, 1, 28, 28)`."""
    return torch.from_numpy(draw(40, seed=5)[0]).reshape(-1, 1, 28, 28)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_a_corruption_is_the_same_every_time_and_leaves_its_input_alone(corruption: Corruption, digits: Tensor) -> None:
    before = digits.clone()
    torch.manual_seed(1)
    once = corruption(digits)
    torch.manual_seed(2)
    assert torch.equal(corruption(digits), once)
    assert torch.equal(digits, before)
    assert (once.shape, once.dtype) == (digits.shape, torch.uint8)
    assert not torch.equal(once, digits)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_colours_are_corrupted_alike_at_any_size(corruption: Corruption) -> None:
    grey = torch.from_numpy(draw(8, seed=6)[0]).reshape(-1, 1, 28, 28)[..., 2:26, :]  # not square
    if "noise" in corruption.name:
        assert corruption(grey.repeat(1, 3, 1, 1)).shape == (8, 3, 24, 28)
        return
    assert torch.equal(corruption(grey.repeat(1, 3, 1, 1)), corruption(grey).repeat(1, 3, 1, 1))


def test_corruptions_have_names_of_their_own() -> None:
    assert len({corruption.name for corruption in CORRUPTIONS}) == len(CORRUPTIONS)


def test_shift_moves_whole_pixels_towards_the_four_corners_in_turn(digits: Tensor) -> None:
    moved = shift(digits.float(), pixels=3)
    for index, (down, right) in enumerate([(3, 3), (3, -3), (-3, 3), (-3, -3), (3, 3)]):
        for row, column in np.ndindex(28, 28):
            source = row - down, column - right
            inside = min(source) >= 0 and max(source) < 28
            assert moved[index, 0, row, column] == (digits[index, 0][source] if inside else 0)


def test_rotate_turns_clockwise_and_back_in_turn(digits: Tensor) -> None:
    turned = rotate(digits.float(), degrees=90).numpy()
    for index, quarter in enumerate([-1, 1, -1]):
        np.testing.assert_allclose(turned[index, 0], np.rot90(digits[index, 0].numpy(), quarter), atol=0.01)


def test_rotate_keeps_the_lengths_in_images_that_are_not_square() -> None:
    """A line of 12 pixels across is one of 12 pixels upright after a quarter turn."""
    images = torch.zeros(1, 1, 20, 40)
    images[0, 0, 10, 14:26] = 255
    turned = rotate(images, degrees=90)[0, 0] / 255
    assert float(turned[:, 19:21].sum()) == pytest.approx(12, abs=0.1)
    assert int((turned.sum(dim=1) > 0.4).sum()) == 12


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.25])
def test_scale_changes_both_sides_around_the_middle(factor: float) -> None:
    square = torch.zeros(1, 1, 28, 28)
    square[..., 8:20, 8:20] = 255
    scaled = scale(square, factor=factor)[0, 0].double() / 255
    assert float(scaled.sum()) == pytest.approx((12 * factor) ** 2, rel=0.02)
    assert torch.allclose(scaled, scaled.flip(0), atol=1e-4)
    assert torch.allclose(scaled, scaled.T, atol=1e-4)


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_blur_equals_scipy(digits: Tensor, sigma: float) -> None:
    ours = blur(digits.float(), sigma=sigma).numpy()
    expected = gaussian_filter(digits.numpy().astype(float), (0, 0, sigma, sigma), mode="constant", truncate=10)
    np.testing.assert_allclose(ours, expected, atol=0.01)


def test_noise_has_the_strength_that_it_says() -> None:
    grey = torch.full((200, 1, 28, 28), 128.0)
    assert float((noise(grey, share=0.2) - grey).std()) == pytest.approx(0.2 * 255, rel=0.01)


def test_occlusion_is_one_square_within_the_digits_part_at_many_places() -> None:
    covered = (occlude(torch.full((300, 1, 28, 28), 255.0), pixels=7) == 0)[:, 0]
    places = set()
    for square in covered:
        rows, columns = (square.any(dim=axis).nonzero().flatten() for axis in (1, 0))
        assert len(rows) == len(columns) == 7
        assert int(square.sum()) == 49
        assert min(rows.min(), columns.min()) >= 4 and max(rows.max(), columns.max()) < 24
        places.add((int(rows[0]), int(columns[0])))
    assert len(places) > 100


def test_inverting_twice_changes_nothing(digits: Tensor) -> None:
    assert torch.equal(invert(invert(digits.float())), digits.float())


@pytest.mark.slow
def test_other_peoples_digits_are_all_found_and_look_like_mnist() -> None:
    images, labels, missed = other_people()
    assert (images.shape, images.dtype, len(labels), missed) == ((1797, 1, 28, 28), torch.uint8, 1797, 0)
    assert sorted(set(labels.tolist())) == list(range(10))
    images = images[:, 0]
    inked = images > 0
    assert int(inked.any(dim=2).sum(dim=1).max()) <= 20  # no digit is taller than MNIST's
    assert float(images[:, [0, -1]].float().mean()) < 1
