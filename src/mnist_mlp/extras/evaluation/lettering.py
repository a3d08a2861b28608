"""Text in pictures, in Pillow's built-in font, cached."""

from __future__ import annotations

import math
from functools import cache, lru_cache

from PIL import Image, ImageDraw, ImageFont

Colour = str | int | tuple[int, int, int]


def write(picture: Image.Image, word: str, size: int, ink: Colour, place: tuple[int, int], align: float) -> None:
    """A line of text that ends at `place` (align 1), is centred on it (0.5), or begins there (0).

    Vertically it is centred on `place`.
    """
    shape = _shape(word, size)
    picture.paste(ink, (round(place[0] - align * shape.width), place[1] - shape.height // 2), shape)


def write_standing(picture: Image.Image, word: str, size: int, ink: Colour, foot: tuple[int, int]) -> None:
    """A line of text above `foot`, centred on it."""
    write(picture, word, size, ink, (foot[0], foot[1] - size // 2), align=0.5)


def write_upwards(picture: Image.Image, word: str, size: int, ink: Colour, foot: tuple[int, int]) -> None:
    """A line of text from bottom to top, which begins above `foot`."""
    shape = _shape(word, size).transpose(Image.Transpose.ROTATE_90)
    picture.paste(ink, (foot[0] - shape.width // 2, foot[1] - shape.height), shape)


def width(word: str, size: int) -> int:
    """Pixels across."""
    return _shape(word, size).width


@lru_cache(maxsize=4096)
def _shape(word: str, size: int) -> Image.Image:
    """A text as a mask; rendering it takes longer than everything else."""
    shape = Image.new("L", (math.ceil(_font(size).getlength(word)) + 2, size + 7))
    ImageDraw.Draw(shape).text((1, shape.height / 2), word, 255, _font(size), anchor="lm")
    return shape


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's own, which it carries with it
    return font
