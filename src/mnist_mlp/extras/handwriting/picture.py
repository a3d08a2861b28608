"""From a file to grey levels, upright and small enough to work on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mnist_mlp.data.image_file import UnreadableError, open_image
from mnist_mlp.extras.handwriting.connected_components import Box
from mnist_mlp.extras.handwriting.ink_map import Grey, flatten

WORKING_PIXELS = 1_000_000  # larger pictures are shrunk first; a digit needs far fewer


@dataclass(frozen=True)
class Picture:
    grey: Grey
    """(H, W), at most about WORKING_PIXELS of them."""
    size: tuple[int, int]
    """Width and height of the upright original, in pixels."""
    shrink: int
    """Each pixel of `grey` is the mean of `shrink` x `shrink` pixels of the original."""

    def in_original(self, box: Box) -> Box:
        """A box in `grey`, in the original's pixels."""
        width, height = self.size
        x1, y1 = min(self.shrink * box.x1, width), min(self.shrink * box.y1, height)
        return Box(self.shrink * box.x0, self.shrink * box.y0, x1, y1)


def read_picture(path: Path) -> Picture:
    """The picture in a file, upright and grey.

    Raises:
        UnreadableError: as for `open_image`, or its colours have no conversion to grey levels.
    """
    image = open_image(path)
    shrink = int(np.ceil(np.sqrt(image.width * image.height / WORKING_PIXELS)))
    try:
        return Picture(grey=_grey(image, shrink), size=image.size, shrink=shrink)
    except ValueError:  # of Pillow's, for LAB
        raise UnreadableError(f"expected grey levels or RGB, got colours of the kind {image.mode}") from None


def _grey(image: Image.Image, shrink: int) -> Grey:
    """Grey levels (H, W), reduced by means over squares of `shrink` pixels, and flattened where it is transparent."""
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode))
    if image.has_transparency_data:
        # By way of RGBA: palettes have their transparency in the palette.
        image = image.convert("RGBA").convert("LA").reduce(shrink)
        return flatten(np.asarray(image.getchannel("L")), np.asarray(image.getchannel("A")))
    return np.asarray(image.convert("L").reduce(shrink))


def _eight_bits(values: np.ndarray, mode: str) -> Grey:
    """Scaled to 0..255, `(H, W)`: 16 bits from 0..65535; 32 bits and floats from their smallest and largest value."""
    finite = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    low, high = (0.0, 65535.0) if mode.startswith("I;16") else (float(finite.min()), float(finite.max()))
    return np.round((finite - low) * (255 / max(high - low, 1e-300))).astype(np.uint8)
