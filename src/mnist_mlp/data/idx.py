"""IDX files, the format in which LeCun, Cortes and Burges published MNIST; each file is verified by its checksum."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class UnusableError(Exception):
    """A file, a folder or a source is missing or damaged; the next one may be good."""


@dataclass(frozen=True)
class IdxFile:
    """Name, shape and checksum of a published file."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    """of the whole decompressed file, including its header"""

    @property
    def header(self) -> bytes:
        """Header bytes: two zeros, 8 for uint8, the number of dimensions, then each dimension as a big-endian int32."""
        return struct.pack(f">HBB{len(self.shape)}i", 0, 8, len(self.shape), *self.shape)

    @property
    def size(self) -> int:
        """Size in bytes, decompressed."""
        return len(self.header) + math.prod(self.shape)

    def read(self, path: Path) -> np.ndarray:
        """The array of `shape` uint8 in a file, gzipped or not; writable, as `torch.from_numpy` requires.

        Raises:
            FileNotFoundError: there is no such file.
            UnusableError: it is not the published file.
        """
        try:
            if path.suffix == ".gz":
                with gzip.open(path) as stream:
                    raw = np.frombuffer(bytearray(stream.read(self.size + 1)), np.uint8)
            else:
                raw = np.fromfile(path, np.uint8, count=self.size + 1)
        except FileNotFoundError:
            raise
        except (OSError, EOFError, zlib.error) as error:
            raise UnusableError(f"cannot be read ({error})") from error
        if raw.size != self.size:
            raise UnusableError(f"holds {'more' if raw.size > self.size else 'fewer'} than {self.size:,} bytes")
        if raw[: len(self.header)].tobytes() != self.header:
            raise UnusableError(f"is no IDX file of {' x '.join(map(str, self.shape))} bytes")
        if hashlib.sha256(raw.data).hexdigest() != self.sha256:
            raise UnusableError("differs from the published file (SHA-256)")
        return raw[len(self.header) :].reshape(self.shape)

    def write(self, array: np.ndarray, path: Path) -> None:
        """Write the array as an IDX file, and flush it to the disk."""
        with path.open("wb") as stream:
            stream.write(self.header)
            stream.write(array.data)
            stream.flush()
            os.fsync(stream.fileno())
