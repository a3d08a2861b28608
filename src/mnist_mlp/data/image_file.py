"""Image files from untrusted sources: six formats of Pillow, with limits on bytes and pixels.

Opening a file returns an image, or raises UnreadableError with the reason in one line.
"""

from __future__ import annotations

import io
import logging
import stat
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MAX_BYTES = 100_000_000
MAX_PIXELS = 64_000_000

# Pillow also logs what it raises for damaged TIFF files. Without a handler Python would print that to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class UnreadableError(Exception):
    """A file is not an image that can be read; the message is one line."""


def open_image(path: Path) -> Image.Image:
    """The first image in a file, decoded and rotated upright, in its own mode.

    Raises:
        UnreadableError: it is missing, too large, damaged, or not in one of the FORMATS.
    """
    content = _content(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow only warns about large images; the check below raises
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableError(
                    f"expected at most {MAX_PIXELS / 1e6:.0f} million pixels, got {image.width} x {image.height}"
                )
            image.load()
            return _upright(image)
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError(f"not a picture: expected one of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"expected at most {MAX_PIXELS / 1e6:.0f} million pixels, got many more") from None
    except Exception as error:  # decoders raise exceptions of any type for damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableError(f"damaged: {reason}") from None


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
            kind = "folder" if stat.S_ISDIR(status.st_mode) else "pipe or a device"
            raise UnreadableError(f"expected a file, got a {kind}")
        if status.st_size > MAX_BYTES:
            raise UnreadableError(f"expected at most {MAX_BYTES / 1e6:.0f} MB, got {status.st_size / 1e6:,.0f}")
        with path.open("rb") as file:
            content = file.read(status.st_size)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UnreadableError(getattr(error, "strerror", None) or str(error)) from None
    if not content:
        raise UnreadableError("empty file")
    return content


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data: the image itself may be good
        return image
