"""Deformed images are those that scipy makes from the same displacements, the same ones for a seed and a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import AugmentConfig
from mnist_mlp.data.augment import Augmentation, augments, displacement_fields, elastic_waves

CPU = torch.device("cpu")
SIDE = 28
SHAPE = (1, SIDE, SIDE)
NOTHING: dict[str, Any] = {"shift": 0, "rotation": 0, "scale": 0, "slant": 0, "elastic": 0, "smoothness": 4, "blank": 0}


def settings(**changes: float) -> AugmentConfig:
    return AugmentConfig(**(NOTHING | changes))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    noise = np.random.default_rng(0).random((5, SIDE, SIDE))
    smooth = ndimage.gaussian_filter(noise, (0, 1.5, 1.5))
    return torch.from_numpy((255 * smooth / smooth.max()).astype(np.uint8)).unsqueeze(1)


def read_by_scipy(image: torch.Tensor, displacement: np.ndarray) -> np.ndarray:
    """`displacement` `(2, 28, 28)`: x, y in pixels. A black frame stands for scipy's missing bilinear border."""
    framed = np.pad(image.view(SIDE, SIDE).double().numpy(), 20)
    y, x = np.mgrid[:SIDE, :SIDE] + 20.0
    return ndimage.map_coordinates(framed, [y + displacement[1], x + displacement[0]], order=1)


def test_images_are_read_where_the_displacement_fields_say(images: torch.Tensor) -> None:
    config = composed("augment=elastic").augment
    deform = Augmentation(config, SHAPE, CPU)
    amounts = deform.draw(seed=1, step=2, count=len(images))
    fields = displacement_fields(config, SIDE, SIDE).flatten(1).double()
    for image, amount, ours in zip(images, amounts, deform(images, amounts), strict=True):
        displacement = (amount.double() @ fields).view(2, SIDE, SIDE).numpy()
        np.testing.assert_allclose(ours.view(SIDE, SIDE), read_by_scipy(image, displacement), atol=0.02)


def test_an_affine_deformation_is_the_matrix_of_its_angle_scales_and_slant(images: torch.Tensor) -> None:
    config = settings(shift=2, rotation=10, scale=0.2, slant=0.3)
    deform = Augmentation(config, SHAPE, CPU)
    amounts = torch.tensor([[0.5, -1.0, 1.0, 0.5, -0.5, 1.0]])
    angle = np.radians(10)
    # Rows and columns of (y, x), as scipy counts them; the deformation is exact to first order.
    matrix = np.array([[1 - 0.5 * 0.2, angle], [-angle + 0.3, 1 + 0.5 * 0.2]])
    centre = np.full(2, (SIDE - 1) / 2) + 20
    offset = centre - matrix @ centre + np.array([-2.0, 1.0])
    for image in images:
        framed = np.pad(image.view(SIDE, SIDE).double().numpy(), 20)
        expected = ndimage.affine_transform(framed, matrix, offset, order=1)[20:-20, 20:-20]
        np.testing.assert_allclose(deform(image[None], amounts).view(SIDE, SIDE), expected, atol=0.02)


def test_no_amount_of_any_field_changes_nothing(images: torch.Tensor) -> None:
    deform = Augmentation(composed("augment=elastic").augment, SHAPE, CPU)
    same = deform(images, torch.zeros_like(deform.draw(0, 0, len(images))))
    torch.testing.assert_close(same, images.float(), rtol=0, atol=0.01)


def test_a_whole_shift_moves_pixels_and_leaves_black_behind(images: torch.Tensor) -> None:
    deform = Augmentation(settings(shift=1), SHAPE, CPU)
    moved = deform(images, torch.tensor([[3.0, 0.0]]).expand(len(images), 2)).view(-1, SIDE, SIDE)
    torch.testing.assert_close(moved[:, :, :-3], images.view(-1, SIDE, SIDE)[:, :, 3:].float(), rtol=0, atol=0.01)
    torch.testing.assert_close(moved[:, :, -3:], torch.zeros(len(images), SIDE, 3), rtol=0, atol=0.01)


def test_an_elastic_deformation_has_the_size_and_the_smoothness_of_gaussian_filtered_noise() -> None:
    """Simard's own way, by filtering; both over many draws, to a few percent."""
    smoothness = 4.0
    waves = elastic_waves(smoothness, SIDE, SIDE).double().flatten(1)
    ours = (torch.randn(4_000, len(waves), dtype=torch.float64) @ waves).view(-1, SIDE, SIDE).numpy()
    noise = np.random.default_rng(0).standard_normal((4_000, SIDE, SIDE))
    theirs = ndimage.gaussian_filter(noise, (0, smoothness, smoothness), mode="reflect", truncate=6)
    theirs -= theirs.mean((1, 2), keepdims=True)
    theirs /= theirs.std()
    assert ours.std() == pytest.approx(1, rel=0.02)
    for distance in (2, 5, 9):
        correlation = [(field[:, :, distance:] * field[:, :, :-distance]).mean() for field in (ours, theirs)]
        assert correlation[0] == pytest.approx(correlation[1], abs=0.06)


def test_the_noise_is_a_function_of_seed_and_step() -> None:
    deform = Augmentation(composed("augment=elastic").augment, SHAPE, CPU)
    first = deform.draw(seed=3, step=7, count=16)
    torch.rand(5)
    assert torch.equal(deform.draw(seed=3, step=7, count=16), first)
    assert not torch.equal(deform.draw(seed=3, step=8, count=16), first)
    assert not torch.equal(deform.draw(seed=4, step=7, count=16), first)


def test_drawing_leaves_the_numbers_of_the_process_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Augmentation(settings(shift=1), SHAPE, CPU).draw(0, 0, 8)
    assert torch.equal(torch.rand(3), expected)


def test_a_colour_image_that_is_no_square_is_deformed_channel_by_channel() -> None:
    colour = torch.randint(0, 256, (4, 3, 20, 32), dtype=torch.uint8)
    deform = Augmentation(settings(shift=1, elastic=1.0), (3, 20, 32), CPU)
    amounts = deform.draw(0, 0, 4)
    changed = deform(colour, amounts)
    for channel in range(3):
        torch.testing.assert_close(changed[:, channel : channel + 1], deform(colour[:, channel : channel + 1], amounts))
    moved = Augmentation(settings(shift=1), (3, 20, 32), CPU)(colour, torch.tensor([[0.0, 2.0]]).expand(4, 2))
    torch.testing.assert_close(moved[:, :, :-2], colour[:, :, 2:].float(), rtol=0, atol=0.01)


def test_blanked_pixels_are_dropout_of_the_inputs() -> None:
    deform = Augmentation(settings(blank=0.2), SHAPE, CPU)
    grey = torch.full((500, 1, SIDE, SIDE), 100, dtype=torch.uint8)
    changed = deform(grey, deform.draw(0, 0, 500))
    assert set(changed.unique().tolist()) == {0.0, 125.0}
    assert (changed == 0).float().mean() == pytest.approx(0.2, abs=0.003)
    assert (changed == 0).float().mean(0).std() < 0.03  # every pixel alike


def test_blanking_comes_on_top_of_a_deformation(images: torch.Tensor) -> None:
    both = Augmentation(settings(blank=0.3, elastic=1.0, shift=1.0), SHAPE, CPU)
    smooth = Augmentation(settings(elastic=1.0, shift=1.0), SHAPE, CPU)
    amounts = both.draw(0, 0, len(images))
    changed, deformed = both(images, amounts), smooth(images, amounts[:, : len(smooth.fields)])
    torch.testing.assert_close(changed[changed > 0], deformed[changed > 0] / 0.7)


def test_mixed_precision_does_not_move_the_places_that_are_read(images: torch.Tensor) -> None:
    deform = Augmentation(composed("augment=elastic").augment, SHAPE, CPU)
    amounts = deform.draw(0, 0, len(images))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = deform(images, amounts)
    assert torch.equal(mixed, deform(images, amounts))


@pytest.mark.parametrize("name", ["shift", "rotation", "scale", "slant", "elastic", "blank"])
def test_each_key_deforms(images: torch.Tensor, name: str) -> None:
    assert not augments(settings())
    config = settings(**{name: 0.5})
    assert augments(config)
    deform = Augmentation(config, SHAPE, CPU)
    assert (deform(images, deform.draw(0, 0, len(images))) - images.float()).abs().max() > 1


def test_a_gaussian_too_wide_for_the_images_is_refused() -> None:
    config = settings(elastic=0.5, smoothness=100.0)
    assert len(displacement_fields(config, 28, 28)) > 0
    with pytest.raises(ConfigError, match=r"augment.smoothness: expected less for images of 8 x 8, got 100.0"):
        displacement_fields(config, 8, 8)
