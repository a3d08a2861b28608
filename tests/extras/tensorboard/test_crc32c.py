"""The checksums of TensorBoard's records are those that TensorBoard would compute."""

from __future__ import annotations

import io

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow
from tensorboard.summary.writer import record_writer

from mnist_mlp.extras.tensorboard import crc32c


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 2000])
def test_a_checksum_is_that_of_tensorboard(length: int) -> None:
    data = np.random.default_rng(length).bytes(length)
    assert crc32c.masked_crc32c(data) == pywrap_tensorflow.masked_crc32c(data)


def test_the_check_value_of_the_standard() -> None:
    assert crc32c.crc32c(b"123456789") == 0xE3069283


def test_tensorboards_writer_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_writer, "masked_crc32c", pywrap_tensorflow.masked_crc32c)
    crc32c.take_over()
    monkeypatch.setattr(crc32c, "crc32c", lambda data: asked.append(data) or 0)
    asked: list[bytes] = []
    record_writer.RecordWriter(io.BytesIO()).write(b"an event")
    assert asked[1] == b"an event"
