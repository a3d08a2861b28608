"""A file that is replaced is the old one or the new one, whole, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_mlp.runs.atomic_write import replacing


def test_the_new_content_takes_the_place_of_the_old_at_the_end_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_text("old")
    with replacing(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_a_failure_half_way_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "it"
    path.write_text("old")
    with pytest.raises(type(error)), replacing(path) as draft:
        draft.write_text("ne")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
