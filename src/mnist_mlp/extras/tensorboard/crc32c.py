"""CRC-32C, the checksum of each of TensorBoard's records, a block of bytes at a time.

TensorBoard computes it byte after byte in Python, while the training steps wait for the interpreter: a tenth of a short
epoch's time for a few pictures.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow
from tensorboard.summary.writer import record_writer

POLYNOMIAL = 0x82F63B78  # reflected (Castagnoli et al. 1993)
BLOCK = 512  # bytes

Words = NDArray[np.uint32]


def take_over() -> None:
    """Have TensorBoard's writers compute their checksums here."""
    record_writer.masked_crc32c = masked_crc32c


def masked_crc32c(data: bytes) -> int:
    """As `pywrap_tensorflow.masked_crc32c`."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C of bytes. It is linear: what a byte of a block adds to it depends on the byte and its place alone.

    The register after a block is the XOR of `at_place` of each byte of the block, and of what a block of zeros makes of
    the register before: the XOR of `advanced` of each of its four bytes.
    """
    at_place, advanced = _tables()
    rest = len(data) % BLOCK
    register: int = pywrap_tensorflow.crc_update(0, data[:rest]) ^ 0xFFFFFFFF
    blocks = np.frombuffer(data, np.uint8, offset=rest).reshape(-1, BLOCK)
    for added in np.bitwise_xor.reduce(at_place[np.arange(BLOCK), blocks], axis=1).tolist():
        first, second, third, fourth = register.to_bytes(4, "little")
        register = added ^ advanced[0][first] ^ advanced[1][second] ^ advanced[2][third] ^ advanced[3][fourth]
    return register ^ 0xFFFFFFFF


@cache
def _tables() -> tuple[Words, list[list[int]]]:
    """What a byte adds to the register, by its place in a block and its value; and what each byte of the register
    becomes after a block of zeros."""
    one_byte: Words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        one_byte = (one_byte >> np.uint32(1)) ^ (one_byte & np.uint32(1)) * np.uint32(POLYNOMIAL)
    at_place = np.empty((BLOCK, 256), np.uint32)
    at_place[-1] = one_byte
    for place in reversed(range(BLOCK - 1)):
        at_place[place] = _past_a_zero(at_place[place + 1], one_byte)
    # Row i: a register with 0..255 in its byte i, and zeros in the others.
    of_register: Words = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    for _ in range(BLOCK):
        of_register = _past_a_zero(of_register, one_byte)
    return at_place, of_register.tolist()


def _past_a_zero(register: Words, one_byte: Words) -> Words:
    after: Words = (register >> np.uint32(8)) ^ one_byte[register & np.uint32(0xFF)]
    return after
