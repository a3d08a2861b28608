"""Pictures, and what Python makes of them: the test vectors that the page's preprocessing is held to."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mnist_mlp.data.synthetic import draw
from mnist_mlp.extras.handwriting.ink_map import flatten
from mnist_mlp.extras.handwriting.segmentation import Digit, find_digits


def pictures(number: int, seed: int = 0, longest: int = 260) -> Iterator[Image.Image]:
    """Digits on paper as they come: of any size and place, several, dark on light or not, shadowed, cut out."""
    generator = np.random.default_rng(seed)
    digits = draw(3 * number, seed=5)[0].reshape(number, 3, 28, 28)
    for kind in range(number):
        width, height = (int(side) for side in generator.integers(60, longest, 2))
        ink = Image.new("L", (width, height))
        if kind % 4 == 1:  # strokes of a pen, some of them thin
            strokes = ImageDraw.Draw(ink)
            for _ in range(generator.integers(1, 4)):
                points = generator.integers(0.2 * min(width, height), 0.8 * min(width, height), (4, 2))
                strokes.line([tuple(map(int, point)) for point in points], 255, int(generator.integers(1, 12)), "curve")
        else:
            for digit in digits[kind, : 1 + kind % 3]:
                side = int(generator.integers(20, 0.9 * min(width, height)))
                place = (int(generator.integers(width - side)), int(generator.integers(height - side)))
                ink.paste(255, place, Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC))
        yield _on_paper(np.asarray(ink, np.float64) / 255, kind, generator)


def _on_paper(ink: np.ndarray, kind: int, generator: np.random.Generator) -> Image.Image:
    """Ink (H, W) in [0, 1] with paper and pen of some colour: RGBA."""
    height, width = ink.shape
    paper, pen = generator.integers(150, 256, 3), generator.integers(0, 90, 3)
    if kind % 5 == 1:
        paper, pen = pen, paper
    light = np.linspace(1, generator.uniform(0.5, 1), width)[None, :, None] if kind % 5 == 2 else 1
    colour = (paper + ink[..., None] * (pen - paper)) * light
    if kind % 5 == 3:
        colour = colour + generator.normal(0, 3, colour.shape)
    alpha = np.full((height, width, 1), 255.0)
    if kind % 5 == 4:
        alpha = 255 * (ink[..., None] if kind % 2 else np.ones_like(ink)[..., None] * generator.uniform(0.3, 1))
    return Image.fromarray(np.concatenate([colour, alpha], axis=2).round().clip(0, 255).astype(np.uint8), "RGBA")


def picture_json(picture: Image.Image) -> dict[str, Any]:
    return {"width": picture.width, "height": picture.height, "rgba": base64.b64encode(picture.tobytes()).decode()}


def found_in(picture: Image.Image) -> list[Digit]:
    """What the Python pipeline finds."""
    grey, alpha = (np.asarray(channel) for channel in picture.convert("LA").split())
    return find_digits(grey if alpha.min() == 255 else flatten(grey, alpha))


def digit_json(digit: Digit) -> dict[str, Any]:
    """The (28, 28) image as a list of 784 numbers, the box, and the same of both halves of what may be two digits."""
    halves = [digit_json(half) for half in digit.halves]
    return {"image": digit.image.ravel().tolist(), "box": [*vars(digit.box).values()], "halves": halves}
