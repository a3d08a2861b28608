"""The weights of the first layer as images, drawn in milliseconds with Pillow; a plotting library would take longer."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnist_mlp.extras.colours import BLUE, RED

UNITS = 64  # at most
COLUMNS = 8
WIDTH = 480  # pixels: about as wide as the card that TensorBoard shows it on
SHADES = 33  # from red by white to blue; the eye sees no more, and fewer shades make a smaller file


def first_layer_picture(weights: NDArray[np.float32]) -> Image.Image:
    """The weights of each unit, `(units, C, H, W)`: positive ones in blue, negative ones in red.

    Of several colours it shows the mean.
    """
    shown = weights[:UNITS].mean(axis=1)
    limit = 3 * float(shown.std()) or 1.0
    tiles = np.clip(SHADES // 2 * (1 + shown / limit), 0, SHADES - 1).round().astype(np.uint8)
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    high, wide = tiles.shape[1] + 2, tiles.shape[2] + 2  # a gap of two pixels
    sheet = np.full((rows * columns, high, wide), SHADES // 2, dtype=np.uint8)
    sheet[: len(tiles), 1:-1, 1:-1] = tiles
    grid = sheet.reshape(rows, columns, high, wide).swapaxes(1, 2).reshape(rows * high, columns * wide)
    picture = Image.fromarray(grid)
    picture.putpalette(_red_white_blue())
    enlarged = max(1, WIDTH // (COLUMNS * wide))
    return picture.resize((enlarged * picture.width, enlarged * picture.height), Image.Resampling.NEAREST)


@cache
def _red_white_blue() -> bytes:
    share = np.linspace(-1, 1, SHADES)[:, None]
    end = np.where(share < 0, RED, BLUE)
    colours: NDArray[np.uint8] = (255 + np.abs(share) * (end - 255)).round().astype(np.uint8)
    return colours.tobytes()
