"""Synthetic data set: printed digits under random affine transformations; needs no download.

Each digit of Pillow's bundled font is rendered once per stroke weight, in high resolution; every image is resampled
from one of these renderings. It resembles MNIST (white on black, 20 of 28 pixels high, centred by mass; a small network
reaches 98 %) and replaces it in tests and offline. Results on it do not transfer to handwriting.
"""

from __future__ import annotations

import functools

import numpy as np

from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.dataset import Dataset, DatasetInfo, checksum

DIGITS = "0123456789"
TRAIN_SIZE, TEST_SIZE = 6_000, 1_000  # images
SIDE = 28  # pixels, as in MNIST
DIGIT_HEIGHT = 20  # pixels, before the random transformation
DETAIL = 2  # pixels of a rendering per image pixel: bilinear sampling then shows no jagged edges
OVERSIZE = 4  # rendered larger by this factor and averaged down, so that strokes can be a fraction of a pixel wide
STROKES = (0, 1, 2, 4, 6)  # added on each side of the font's strokes, in pixels before averaging down
CANVAS = 44 * DETAIL  # side of a rendering in pixels: no transformation reaches beyond it

# Standard deviations of the transformations; draws are clipped to LIMIT standard deviations.
ROTATION = 11.0  # degrees
SHEAR = 0.18
SCALE = 0.12  # of the logarithm of the scale factor, drawn separately for width and height
SHIFT = 0.9  # pixels, from the centre of mass
LIMIT = 2.5

IMAGES_AT_ONCE = 250  # their coordinates fit into the cache


INFO = DatasetInfo("synthetic", (1, SIDE, SIDE), tuple(DIGITS), TRAIN_SIZE, TEST_SIZE)


def describe(data: DataConfig) -> DatasetInfo:
    return INFO


def load(data: DataConfig) -> Dataset:
    return _dataset()


@functools.cache  # without the cache every run of a sweep would spend half a second here
def _dataset() -> Dataset:
    train_images, train_labels = draw(TRAIN_SIZE, seed=1)
    test_images, test_labels = draw(TEST_SIZE, seed=2)
    arrays = [train_images[:, None], train_labels, test_images[:, None], test_labels]
    return Dataset.of(INFO, arrays, checksum(*arrays))


def draw(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`number` images `(N, 28, 28)` uint8 and labels `(N,)` uint8, classes balanced and in random order.

    The same number and seed give the same bits with the same versions of Pillow and NumPy.
    """
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(number) % 10)
    strokes = generator.integers(len(STROKES), size=number)
    changes = generator.standard_normal((number, 6)).clip(-LIMIT, LIMIT)
    drawings, centres = _drawings()
    images = np.empty((number, SIDE, SIDE), np.uint8)
    for start in range(0, number, IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        which = labels[part] * len(STROKES) + strokes[part]
        images[part] = _sample(drawings, which, _inverses(changes[part], centres[which]))
    return images, labels.astype(np.uint8)


def _drawings() -> tuple[np.ndarray, np.ndarray]:
    """Renderings `(D, CANVAS, CANVAS)` float32 in [0, 255] and their centres of mass, x and y, `(D, 2)`.

    Number `digit * len(STROKES) + i` has the stroke weight `STROKES[i]`.
    """
    from PIL import Image, ImageDraw, ImageFont  # imported here, as MNIST does not need Pillow

    side = CANVAS * OVERSIZE
    font = ImageFont.load_default(size=DIGIT_HEIGHT * DETAIL * OVERSIZE / 0.7)  # digits are 0.7 of the nominal size
    drawings = []
    for digit in DIGITS:
        for stroke in STROKES:
            sheet = Image.new("L", (side, side))
            middle = (side / 2, side / 2)
            ImageDraw.Draw(sheet).text(middle, digit, fill=255, font=font, anchor="mm", stroke_width=stroke)
            drawings.append(np.asarray(sheet.reduce(OVERSIZE), np.float32))
    stack = np.stack(drawings)
    profiles = np.stack([stack.sum(axis=1), stack.sum(axis=2)], axis=1)  # (D, 2, CANVAS)
    return stack, (profiles * np.arange(CANVAS)).sum(axis=2) / profiles.sum(axis=2)


def _inverses(changes: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Inverse affine maps `(N, 2, 3)` float32, from the pixels of an image to those of its rendering.

    `changes` `(N, 6)` are rotation, shear, scale (2) and shift (2), in standard deviations.
    """
    rotation, shear, width, height, right, down = changes.T
    cosine, sine = np.cos(np.radians(ROTATION * rotation)), np.sin(np.radians(ROTATION * rotation))
    # Pixels of the rendering for each pixel of the image.
    shear, per_x, per_y = SHEAR * shear, DETAIL * np.exp(-SCALE * width), DETAIL * np.exp(-SCALE * height)
    # x in the rendering is a * x + b * y + a constant, with (a, b) = row_x; y likewise.
    row_x = (cosine + shear * sine) * per_x, (sine - shear * cosine) * per_x
    row_y = -sine * per_y, cosine * per_y
    middle_x, middle_y = (SIDE - 1) / 2 + SHIFT * right, (SIDE - 1) / 2 + SHIFT * down
    rows = [
        np.stack([a, b, centre - a * middle_x - b * middle_y], axis=1)
        for (a, b), centre in zip((row_x, row_y), centres.T, strict=True)
    ]
    # Rounded from float64, so that the last bit of a processor's cosine does not change an image.
    return np.stack(rows, axis=1).astype(np.float32)


def _sample(drawings: np.ndarray, which: np.ndarray, inverses: np.ndarray) -> np.ndarray:
    """Images `(N, 28, 28)`: the renderings `which` `(N,)` sampled bilinearly, black beyond their edges."""
    grid = np.arange(SIDE, dtype=np.float32)
    a, b, c = np.moveaxis(inverses, 2, 0)[..., None, None]  # (N, 2, 1, 1) each
    positions = a * grid[None, :] + b * grid[:, None] + c  # (N, 2, 28, 28), in pixels of the rendering
    x, y = positions.clip(0, CANVAS - 1.001).swapaxes(0, 1)
    left, top = x.astype(np.int32), y.astype(np.int32)
    x, y = x - left, y - top
    pixels = drawings.ravel()
    corner = which[:, None, None] * CANVAS**2 + top * CANVAS + left
    upper = pixels[corner] * (1 - x) + pixels[corner + 1] * x
    lower = pixels[corner + CANVAS] * (1 - x) + pixels[corner + CANVAS + 1] * x
    return np.asarray(np.rint(upper * (1 - y) + lower * y))
