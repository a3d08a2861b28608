"""Image files: six formats, opened by name, within limits on bytes and pixels, and nothing else of Pillow's.

Whatever the file holds, the outcome is an image or one line that says why there is none.
"""

from __future__ import annotations

import io
import logging
import stat
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MOST_BYTES = 100_000_000
MOST_PIXELS = 64_000_000
ORIENTATION = 0x0112  # the EXIF tag for how the camera was held
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Its complaints about damaged TIFF files come on top of the error that is raised.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class UnreadableError(Exception):
    """Why a file is no picture that can be read, in one line."""


def open_image(path: Path) -> Image.Image:
    """The first picture in a file, decoded and upright, in whatever mode it is.

    Raises:
        UnreadableError: it is missing, too large, damaged, or not in one of the FORMATS.
    """
    content = _content(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # among them Pillow's own about size, which only warns
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise UnreadableError(
                    f"expected at most {MOST_PIXELS / 1e6:.0f} million pixels, got {image.width} x {image.height}"
                )
            image.load()
            return _upright(image)
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError(f"not a picture: expected one of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"expected at most {MOST_PIXELS / 1e6:.0f} million pixels, got many more") from None
    except Exception as error:  # damaged bytes make the decoders fail in every way there is
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableError(f"damaged: {reason}") from None


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device might never end
            folder = stat.S_ISDIR(status.st_mode)
            raise UnreadableError("no pictures in this folder" if folder else "expected a file, got a pipe or a device")
        if status.st_size > MOST_BYTES:
            raise UnreadableError(f"expected at most {MOST_BYTES / 1e6:.0f} MB, got {status.st_size / 1e6:,.0f}")
        with path.open("rb") as file:
            content = file.read(status.st_size)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UnreadableError(getattr(error, "strerror", None) or str(error)) from None
    if not content:
        raise UnreadableError("empty file")
    return content


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF is no reason to refuse a whole picture
        turn = None
    return image if turn is None else image.transpose(turn)
