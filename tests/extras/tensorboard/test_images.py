"""Pictures show what they are given, where it belongs."""

from __future__ import annotations

import numpy as np

from mnist_mlp.extras.tensorboard import images as pictures


def test_weights_are_red_where_positive_blue_where_negative_and_each_unit_has_its_tile() -> None:
    weights = np.zeros((70, 784), dtype=np.float32)
    weights[0, 0], weights[9, 783] = 1.0, -1.0
    picture = np.asarray(pictures.weights(weights).convert("RGB"))
    assert picture.shape == (8 * 60, 8 * 60, 3)  # 64 units, twice as large
    red, blue = picture[2, 2].astype(int), picture[60 + 57, 60 + 57].astype(int)
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 100
    assert (picture.min(axis=2) < 200).sum() == 8  # nothing else is coloured


def test_a_confusion_matrix_is_blue_on_its_diagonal_and_red_beside_it() -> None:
    counts = np.diag(np.full(10, 50))
    counts[3, 5] = 5
    names = [str(digit) for digit in range(10)]
    picture = np.asarray(pictures.confusion(counts, names)).astype(int)
    margin, cell = 25, 32
    corner = picture[margin + 3 :: cell, margin + 3 :: cell][:10, :10]  # a pixel of each cell, off its number
    assert (corner[range(10), range(10), 2] > corner[range(10), range(10), 0]).all()
    assert corner[3, 5, 0] > corner[3, 5, 2]
    assert (corner[0, 1] == 255).all()


def test_long_names_stand_beside_the_cells_and_not_on_them() -> None:
    names = [f"a long name {number}" for number in range(10)]
    drawn = np.asarray(pictures.confusion(np.zeros((10, 10), dtype=np.int64), names))
    margin, cell = 18 + 7 * len(names[0]), 32
    ink = drawn.min(axis=2) < 128
    assert not ink[margin : margin + 10 * cell, margin : margin + 10 * cell].any()
    for number in range(10):
        place = slice(margin + cell * number, margin + cell * (number + 1))
        along_row, along_column = ink[place, :margin], ink[:margin, place]
        assert np.ptp(np.nonzero(along_row)[1]) > 40, "a name of a row lies"
        assert np.ptp(np.nonzero(along_column)[0]) > 40, "a name of a column stands"


def test_mistakes_are_shown_as_many_as_there_are_also_with_long_names() -> None:
    images = np.zeros((7, 784), dtype=np.uint8)
    picture = pictures.mistakes(images, ["T-shirt or top"] * 7, ["Ankle boot"] * 7, [0.5] * 7)
    assert picture.size == (348, 408)
