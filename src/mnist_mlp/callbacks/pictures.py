"""Pictures of a network that learns, drawn in milliseconds with Pillow; a plotting library would take longer.

They are about as wide as the cards that TensorBoard shows them on, so that their words can be read there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

UNITS = 64  # of the first layer, at most
COLUMNS = 8
SHADES = 33  # from blue by white to red; the eye sees no more, and the file of events has half the size of one with 256
BLUE, RED, INK, FAINT = (11, 95, 180), (200, 50, 40), (30, 34, 40), (120, 128, 138)


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
        draw.text((margin - 8, margin + cell * (truth + 0.5)), names[truth], INK, _font(13), anchor="rm")
        _upright(picture, names[truth], (margin + cell * truth + cell // 2, margin - 8))
        for answer, share in enumerate(row):
            right = truth == answer
            strength = float(share if right else share / worst)
            colour = tuple(round(255 + strength * (end - 255)) for end in (BLUE if right else RED))
            x, y = margin + cell * answer, margin + cell * truth
            draw.rectangle((x + 1, y + 1, x + cell - 2, y + cell - 2), colour)
            if counts[truth, answer]:
                ink = "white" if strength > 0.55 else INK
                draw.text((x + cell / 2, y + cell / 2), str(counts[truth, answer]), ink, _font(13), anchor="mm")
    draw.text((margin, side + 12), "rows: what it is; columns: what the network says", FAINT, _font(12), anchor="ls")
    return picture


def _upright(picture: Image.Image, name: str, foot: tuple[int, int]) -> None:
    """Write a long name from bottom to top, a short one as it is, ending above `foot`."""
    if len(name) < 3:
        ImageDraw.Draw(picture).text(foot, name, INK, _font(13), anchor="ms")
        return
    label = Image.new("RGB", (round(_font(13).getlength(name)) + 2, 20), "white")
    ImageDraw.Draw(label).text((0, 10), name, INK, _font(13), anchor="lm")
    turned = label.transpose(Image.Transpose.ROTATE_90)
    picture.paste(turned, (foot[0] - 10, foot[1] - turned.height))


def mistakes(
    images: NDArray[np.uint8], truths: Sequence[str], answers: Sequence[str], probabilities: Sequence[float]
) -> Image.Image:
    """Images `(N, 784)` that the network got wrong, what they are, what it says, and how sure it is of that."""
    long = max(map(len, [*truths, *answers])) > 2
    columns, wide, high = (3, 116, 136) if long else (4, 87, 120)
    rows = -(-len(images) // columns)
    picture = Image.new("RGB", (columns * wide, rows * high), "white")
    draw = ImageDraw.Draw(picture)
    for index, pixels in enumerate(images):
        x, y = index % columns * wide, index // columns * high
        digit = Image.fromarray(255 - pixels.reshape(28, 28)).resize((84, 84), Image.Resampling.NEAREST)
        picture.paste(digit, (x + (wide - 84) // 2, y))
        draw.rectangle((x + (wide - 84) // 2, y, x + (wide - 84) // 2 + 83, y + 83), outline=(205, 210, 216))
        words = [truths[index], f"not {answers[index]}"] if long else [f"{truths[index]}, not {answers[index]}"]
        words.append(f"sure to {probabilities[index]:.0%}")
        for line, word in enumerate(words):
            ink = FAINT if line == len(words) - 1 else INK
            draw.text((x + wide / 2, y + 92 + 15 * line), word, ink, _font(12), anchor="mm")
    return picture


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's own, which it carries with it
    return font
