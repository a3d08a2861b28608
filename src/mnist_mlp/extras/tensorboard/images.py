"""Pictures of a network that learns, drawn in milliseconds with Pillow; a plotting library would take longer.

They are about as wide as the cards that TensorBoard shows them on, so that their words can be read there, and have no
more colours than they need, as TensorBoard's writer sums up every byte in Python.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

UNITS = 64  # of the first layer, at most
COLUMNS = 8
SHADES = 33  # from blue by white to red; the eye sees no more
Colour = str | int | tuple[int, int, int]
BLUE, RED, INK, FAINT = (11, 95, 180), (200, 50, 40), (30, 34, 40), (120, 128, 138)
BLACK, GREY, LINE = 34, 128, 210  # of pictures without colours


def weights(first_layer: NDArray[np.float32]) -> Image.Image:
    """What each unit of the first layer looks for, `(units, 784)`: red where ink speaks for it, blue where against."""
    shown = first_layer[:UNITS].reshape(-1, 28, 28)
    limit = 3 * float(shown.std()) or 1.0
    tiles = np.clip(SHADES // 2 * (1 + shown / limit), 0, SHADES - 1).round().astype(np.uint8)
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * columns, 30, 30), SHADES // 2, dtype=np.uint8)  # a gap of two pixels
    sheet[: len(tiles), 1:-1, 1:-1] = tiles
    grid = sheet.reshape(rows, columns, 30, 30).swapaxes(1, 2).reshape(rows * 30, columns * 30)
    picture = Image.fromarray(grid)
    picture.putpalette(_blue_white_red())
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)


@cache
def _blue_white_red() -> bytes:
    share = np.linspace(-1, 1, SHADES)[:, None]
    end = np.where(share < 0, BLUE, RED)
    colours: NDArray[np.uint8] = (255 + np.abs(share) * (end - 255)).round().astype(np.uint8)
    return colours.tobytes()


def confusion(counts: NDArray[np.int64], names: Sequence[str]) -> Image.Image:
    """`counts[truth, answer]`, `(10, 10)`: what is right in blue, mistakes in red, the darker the more of its row."""
    margin, cell = 18 + 7 * max(map(len, names)), 32
    side = margin + cell * len(names) + 4
    picture = Image.new("RGB", (side, side + 16), "white")
    draw = ImageDraw.Draw(picture)
    rows = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / rows
    worst = (shares * (1 - np.eye(len(names)))).max() or 1.0
    for truth, row in enumerate(shares):
        middle = margin + cell * truth + cell // 2
        _write(picture, names[truth], 13, INK, (margin - 7, middle), align=1)
        _write_upright(picture, names[truth], (middle, margin - 7))
        for answer, share in enumerate(row):
            right = truth == answer
            strength = float(share if right else share / worst)
            colour = tuple(round(255 + strength * (end - 255)) for end in (BLUE if right else RED))
            x, y = margin + cell * answer, margin + cell * truth
            draw.rectangle((x + 1, y + 1, x + cell - 2, y + cell - 2), colour)
            if counts[truth, answer]:
                ink = "white" if strength > 0.55 else INK
                _write(picture, str(counts[truth, answer]), 13, ink, (x + cell // 2, y + cell // 2), align=0.5)
    _write(picture, "rows: what it is; columns: what the network says", 12, FAINT, (margin, side + 8), align=0)
    return picture


def mistakes(
    images: NDArray[np.uint8], truths: Sequence[str], answers: Sequence[str], probabilities: Sequence[float]
) -> Image.Image:
    """Images `(N, 784)` that the network got wrong, what they are, what it says, and how sure it is of that."""
    long = max(map(len, [*truths, *answers])) > 2
    columns, wide, high = (3, 116, 136) if long else (4, 87, 120)
    rows = -(-len(images) // columns)
    picture = Image.new("L", (columns * wide, rows * high), "white")
    draw = ImageDraw.Draw(picture)
    for index, pixels in enumerate(images):
        x, y = index % columns * wide, index // columns * high
        digit = Image.fromarray(255 - pixels.reshape(28, 28)).resize((84, 84), Image.Resampling.NEAREST)
        picture.paste(digit, (x + (wide - 84) // 2, y))
        draw.rectangle((x + (wide - 84) // 2, y, x + (wide - 84) // 2 + 83, y + 83), outline=LINE)
        words = [truths[index], f"not {answers[index]}"] if long else [f"{truths[index]}, not {answers[index]}"]
        words.append(f"sure to {probabilities[index]:.0%}")
        for line, word in enumerate(words):
            ink = GREY if line == len(words) - 1 else BLACK
            _write(picture, word, 12, ink, (x + wide // 2, y + 92 + 15 * line), align=0.5)
    return picture


def _write(picture: Image.Image, word: str, size: int, ink: Colour, place: tuple[int, int], align: float) -> None:
    """Left of it (1), around it (0.5), or right of it (0); `place` is in the middle of the line."""
    shape = _shape(word, size)
    picture.paste(ink, (round(place[0] - align * shape.width), place[1] - shape.height // 2), shape)


def _write_upright(picture: Image.Image, word: str, foot: tuple[int, int]) -> None:
    """A long word from bottom to top, a short one as it is, ending above `foot`."""
    if len(word) < 3:
        _write(picture, word, 13, INK, (foot[0], foot[1] - 6), align=0.5)
        return
    shape = _shape(word, 13).transpose(Image.Transpose.ROTATE_90)
    picture.paste(INK, (foot[0] - shape.width // 2, foot[1] - shape.height), shape)


@lru_cache(maxsize=1024)
def _shape(word: str, size: int) -> Image.Image:
    """A word as a mask, kept: to set it in type takes longer than to draw all else, and most come again and again."""
    shape = Image.new("L", (math.ceil(_font(size).getlength(word)) + 2, size + 7))
    ImageDraw.Draw(shape).text((1, shape.height / 2), word, 255, _font(size), anchor="lm")
    return shape


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's own, which it carries with it
    return font
