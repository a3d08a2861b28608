"""The worst mistakes as a picture: images with their true class, the guess, and how sure the network was of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.sources import source_of
from mnist_mlp.extras.colours import FAINT, INK
from mnist_mlp.extras.evaluation.lettering import write
from mnist_mlp.extras.evaluation.metrics import worst_mistakes
from mnist_mlp.extras.inference.predictions import Predictions
from mnist_mlp.extras.text_table import shortened

LINE = (210, 210, 210)
SIDE = 84  # pixels of an image
NAME = 16  # characters of a class name, at most

Images = NDArray[np.uint8]


def as_seen(images: Images, data: DataConfig) -> Images:
    """Images of a data set as a person sees them: digits black on white, other images as they are."""
    return 255 - images if source_of(data).negative else images


def as_picture(image: Images) -> Image.Image:
    """One image `(C, H, W)` as Pillow's."""
    if len(image) == 1:
        return Image.fromarray(image[0])
    if len(image) == 3:
        return Image.fromarray(np.moveaxis(image, 0, -1))
    return Image.fromarray(image.mean(axis=0).astype(np.uint8))  # of channels without a meaning known here


def sureness(probability: float) -> str:
    """How sure the network was of a guess, in words."""
    return f"{probability:.1%} sure"


def worst_mistakes_picture(
    images: Images, predicted: Predictions, class_names: Sequence[str], most: int, *, scale: int = 1
) -> Image.Image | None:
    """The mistakes with the least probability of the true class, of images `(N, C, H, W)`; None if there are none."""
    worst = worst_mistakes(predicted, most)
    if not len(worst):
        return None
    return mistakes_picture(
        images[worst],
        [class_names[truth] for truth in predicted.labels[worst]],
        [class_names[guess] for guess in predicted.guesses[worst]],
        predicted.confidences[worst].tolist(),
        scale=scale,
    )


def mistakes_picture(
    images: Images,
    truths: Sequence[str],
    guesses: Sequence[str],
    probabilities: Sequence[float],
    *,
    scale: int = 1,
) -> Image.Image:
    """Images `(N, C, H, W)` that the network got wrong, with the probability in [0, 1] of each guess."""
    truths, guesses = ([shortened(name, NAME) for name in names] for names in (truths, guesses))
    long = max(map(len, [*truths, *guesses]), default=0) > 2
    columns, wide, high = (3, 116, 136) if long else (4, 87, 120)
    wide, high, side = wide * scale, high * scale, SIDE * scale
    rows = -(-len(images) // columns)
    colour = "RGB" if images.shape[1] == 3 else "L"  # a grey picture is written faster
    ink, faint, line = (shade if colour == "RGB" else shade[0] for shade in (INK, FAINT, LINE))
    picture = Image.new(colour, (columns * wide, rows * high), "white")
    draw = ImageDraw.Draw(picture)
    for index, pixels in enumerate(images):
        x, y = index % columns * wide, index // columns * high
        shown = as_picture(pixels)
        factor = side / max(shown.size)
        size = (max(1, round(shown.width * factor)), max(1, round(shown.height * factor)))
        left, top = x + (wide - size[0]) // 2, y + (side - size[1]) // 2
        picture.paste(shown.resize(size, Image.Resampling.NEAREST), (left, top))
        draw.rectangle((left, top, left + size[0] - 1, top + size[1] - 1), outline=line)
        words = [truths[index], f"not {guesses[index]}"] if long else [f"{truths[index]}, not {guesses[index]}"]
        words.append(sureness(probabilities[index]))
        for number, word in enumerate(words):
            shade = faint if number == len(words) - 1 else ink
            write(picture, word, 12 * scale, shade, (x + wide // 2, y + (92 + 15 * number) * scale), align=0.5)
    return picture
