"""A file that is replaced is the old one or the new one, whole, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_mlp.config.errors import ConfigError, SaveError
from mnist_mlp.runs.atomic_write import (
    refuse_unwritable_directory,
    refuse_unwritable_file,
    replacing,
    saving,
    writing_output,
)


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


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("x" * 300, "expected names of at most 255 bytes, got x"),
        ("file/below/it", "file is not one"),
        ("link/it", "link is a link to nothing"),
        ("loop/it", "loop"),
    ],
)
def test_a_place_that_cannot_hold_a_directory_is_refused_and_why(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigError, match=r"^option: expected") as caught:
        refuse_unwritable_directory("option", tmp_path / place)
    assert words in str(caught.value)
    refuse_unwritable_directory("option", tmp_path / "new" / "folder")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "link", "loop"}


def test_a_file_is_refused_where_a_folder_is_or_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "it", tmp_path / ("a" * 256)):
        with pytest.raises(ConfigError, match=r"^option: expected"):
            refuse_unwritable_file("option", place)
    for place in (tmp_path / "file", tmp_path / "new" / "it"):
        refuse_unwritable_file("option", place)


def test_an_option_names_a_file_in_folders_that_need_not_be_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "it"
    for content in ("first", "second"):  # the folders are there the second time
        with writing_output("option", path):
            path.write_text(content)
    assert path.read_text() == "second"


def test_a_disk_that_fails_is_told_in_one_line_beside_the_option(tmp_path: Path) -> None:
    path = tmp_path / "it"
    with pytest.raises(SaveError) as caught, writing_output("option", path):
        raise OSError(28, "No space left on device")
    assert str(caught.value) == f"option {path}: cannot be written: No space left on device"


@pytest.mark.parametrize("before", [True, False])
def test_only_where_something_was_saved_before_it_is_said_to_be_kept(tmp_path: Path, before: bool) -> None:
    path = tmp_path / "it"
    if before:
        path.touch()
    with pytest.raises(SaveError) as caught, saving(path):
        raise OSError(28, "No space left on device")
    kept = "; what was saved before is kept" if before else ""
    assert str(caught.value) == f"{path}: cannot be written: No space left on device{kept}"
