"""The chunks of an epoch, against the steps at which something has to happen between two steps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mnist_mlp.data.run_length import RunLength
from mnist_mlp.engine.chunked_length import in_chunks


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20))
def test_a_chunk_ends_at_every_logged_step_and_at_every_validation(steps: int, between: int, logged: int) -> None:
    between = min(between, steps)
    length = in_chunks(
        RunLength(batch_size=8, steps_per_epoch=steps, total_steps=2 * steps, steps_between_validations=between),
        log_every_n_steps=logged,
    )
    ends = set(range(length.chunk_steps, steps + 1, length.chunk_steps)) | {steps}
    assert set(range(between, steps + 1, between)) <= ends
    chunks = range(length.chunks_between_validations, length.chunks_per_epoch + 1, length.chunks_between_validations)
    if between < steps:  # Lightning validates after each of these chunks
        assert len(chunks) == steps // between
    assert length.chunks_between_validations * length.chunk_steps == between or between == steps
    assert length.chunk_steps <= logged
    assert logged % length.chunk_steps == 0 or length.chunk_steps == steps
    assert len(ends) == length.chunks_per_epoch
