"""The files that MNIST is published in: the IDX format of LeCun, Cortes and Burges, each file known by its checksum."""

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
    """Why a file, a folder or a source is of no use; the next one may be."""


@dataclass(frozen=True)
class IdxFile:
    """What is known of a file before it is read."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    """Of the whole decoded file, header included."""

    @property
    def header(self) -> bytes:
        """Two zero bytes, 8 for uint8, the number of dimensions, then each as a big-endian int32."""
        return struct.pack(f">HBB{len(self.shape)}i", 0, 8, len(self.shape), *self.shape)

    @property
    def size(self) -> int:
        """Bytes, decoded."""
        return len(self.header) + math.prod(self.shape)

    def read(self, path: Path) -> np.ndarray:
        """The verified array of `shape` uint8 in a file, gzipped or not: writable, as PyTorch wants it.

        Raises:
            FileNotFoundError: there is none.
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
        """The array as it was read, on the disk when this returns."""
        with path.open("wb") as stream:
            stream.write(self.header)
            stream.write(array.data)
            stream.flush()
            os.fsync(stream.fileno())
