"""The first layer's weights show what they are, where they belong."""

from __future__ import annotations

import numpy as np

from mnist_mlp.extras.tensorboard.first_layer import first_layer_picture


def test_weights_are_blue_where_positive_red_where_negative_and_each_unit_has_its_tile() -> None:
    weights = np.zeros((70, 784), dtype=np.float32)
    weights[0, 0], weights[9, 783] = 1.0, -1.0
    picture = np.asarray(first_layer_picture(weights.reshape(-1, 1, 28, 28)).convert("RGB"))
    assert picture.shape == (8 * 60, 8 * 60, 3)  # 64 units, twice as large
    blue, red = picture[2, 2].astype(int), picture[60 + 57, 60 + 57].astype(int)
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 100
    assert (picture.min(axis=2) < 200).sum() == 8  # nothing else is coloured


def test_weights_of_colour_images_that_are_not_square_are_shown_too() -> None:
    weights = np.random.default_rng(0).normal(size=(5, 3, 12, 20)).astype(np.float32)
    picture = first_layer_picture(weights)
    assert (picture.width / 5) / picture.height == 22 / 14
