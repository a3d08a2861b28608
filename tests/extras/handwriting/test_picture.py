"""From files to grey levels: every format, mode and orientation, and every kind of file that is no picture."""

import io
import os
import random
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from mnist_mlp.data.image_file import FORMATS, MAX_BYTES, UnreadableError
from mnist_mlp.extras.handwriting.connected_components import Box
from mnist_mlp.extras.handwriting.ink_map import flatten
from mnist_mlp.extras.handwriting.picture import read_picture
from mnist_mlp.extras.handwriting.segmentation import find_digits

HEIGHT, WIDTH = 40, 30
# An L: its place in the picture tells every turn and flip apart.
GREY = np.full((HEIGHT, WIDTH), 250, np.uint8)
GREY[6:30, 5:9] = GREY[26:30, 5:22] = 20


def saved(path, picture: Image.Image, **options):
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(tmp_path, kind):
    path = saved(tmp_path / "file", Image.fromarray(GREY).convert("RGB"), format=kind)
    picture = read_picture(path)
    assert picture.grey.shape == (HEIGHT, WIDTH) and picture.size == (WIDTH, HEIGHT)
    assert np.abs(picture.grey.astype(int) - GREY).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_in_any_way_gives_an_upright_picture(tmp_path, orientation):
    turned = {
        1: GREY, 2: GREY[:, ::-1], 3: GREY[::-1, ::-1], 4: GREY[::-1],
        5: GREY.T, 6: GREY.T[::-1], 7: GREY[::-1, ::-1].T, 8: GREY.T[:, ::-1],
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = saved(tmp_path / "file.png", Image.fromarray(np.ascontiguousarray(turned)), exif=exif)
    assert np.array_equal(read_picture(path).grey, GREY)


def modes() -> dict[str, Image.Image]:
    grey = Image.fromarray(GREY)
    palette = grey.convert("RGB").quantize(4)
    return {
        "1": grey.convert("1"),
        "L": grey,
        "P": palette,
        "RGB": grey.convert("RGB"),
        "CMYK": grey.convert("CMYK"),
        "16 bit": Image.fromarray(GREY.astype(np.uint16) * 257),
        "32 bit": Image.fromarray(GREY.astype(np.int32) * 1000),
        "float": Image.fromarray(GREY.astype(np.float32) / 255),
        "float with nan": Image.fromarray(np.where(GREY == 20, 20, [[np.nan]] + GREY * 0 + 250.0).astype(np.float32)),
    }


@pytest.mark.parametrize("mode", modes())
def test_every_mode_shows_the_same_writing(tmp_path, mode):
    path = saved(tmp_path / "file.tiff", modes()[mode])
    [digit] = find_digits(read_picture(path).grey)
    assert digit.box == Box(5, 6, 22, 30)


@pytest.mark.parametrize("pen", [0, 255])
def test_strokes_on_nothing_stand_out_whatever_their_colour(tmp_path, pen):
    layers = np.stack([np.full_like(GREY, pen), np.where(GREY == 20, 255, 0).astype(np.uint8)], axis=2)
    grey = read_picture(saved(tmp_path / "file.png", Image.fromarray(layers, "LA"))).grey
    assert abs(int(grey[7, 6]) - int(grey[0, 0])) == 255
    palette = Image.fromarray(np.where(GREY == 20, 1, 0).astype(np.uint8), "P")
    palette.putpalette([200, 200, 200, pen, pen, pen])
    grey = read_picture(saved(tmp_path / "file.gif", palette, transparency=0)).grey
    assert grey[7, 6] == pen and grey[0, 0] == 255 - pen


def test_paper_cut_out_of_its_background_is_filled_with_paper():
    alpha = np.full_like(GREY, 255)
    alpha[:, :3] = 0
    assert np.array_equal(flatten(GREY, alpha)[:, 3:], GREY[:, 3:])
    assert (flatten(GREY, alpha)[:, :3] == 250).all()


def test_a_large_picture_is_shrunk_and_its_boxes_are_in_its_own_pixels(tmp_path):
    path = saved(tmp_path / "file.png", Image.fromarray(np.kron(GREY, np.ones((60, 60), np.uint8))))
    picture = read_picture(path)
    assert picture.shrink == 3 and picture.grey.shape == (800, 600)
    [digit] = find_digits(picture.grey)
    assert picture.in_original(digit.box) == Box(300, 360, 1320, 1800)
    assert picture.in_original(Box(0, 0, 601, 801)) == Box(0, 0, 1800, 2400)


def test_colours_that_pillow_cannot_turn_to_grey_are_refused(tmp_path):
    Image.new("LAB", (40, 40)).save(tmp_path / "lab.tif")
    with pytest.raises(UnreadableError, match="expected grey levels or RGB, got colours of the kind LAB"):
        read_picture(tmp_path / "lab.tif")


def png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def whole() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "PNG")
    return buffer.getvalue()


BAD = {
    "empty": (b"", "empty file"),
    "text": (b"not a picture", "not a picture: expected one of PNG"),
    "truncated": (whole()[:90], "damaged"),
    "a bomb": (png(60_000, 60_000), "at most 64 million pixels"),
    "many pixels": (png(9_000, 8_000), "at most 64 million pixels, got 9000 x 8000"),
    "a format not asked for": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_picture_is_refused_in_one_line(tmp_path, kind):
    content, reason = BAD[kind]
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=reason) as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "file.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole: no bytes on the disk
    with pytest.raises(UnreadableError, match="at most 100 MB, got 100"):
        read_picture(path)


@pytest.mark.skipif(os.name != "posix", reason="pipes with a name")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    outcome: list[str] = []

    def read() -> None:
        try:
            read_picture(tmp_path / "pipe")
        except UnreadableError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(timeout=5)
    assert outcome == ["expected a file, got a pipe or a device"]


@pytest.mark.parametrize("name", ["nothing", "a\0b", "x" * 300])
def test_a_name_that_leads_nowhere_is_refused_in_one_line(tmp_path, name):
    with pytest.raises(UnreadableError):
        read_picture(tmp_path / name)


def test_fuzzed_files_are_read_or_refused(tmp_path):
    """Of random bytes, changed bytes and cut files, none makes more trouble than one line."""
    rng = random.Random(0)
    originals = []
    for kind in FORMATS:
        for picture in (Image.fromarray(GREY), Image.fromarray(GREY).convert("RGBA" if kind == "PNG" else "RGB")):
            buffer = io.BytesIO()
            picture.save(buffer, kind)
            originals.append(buffer.getvalue())
    path, refused = tmp_path / "file", 0
    for turn in range(600):
        content = bytearray(rng.choice(originals))
        if turn % 3 == 0:
            del content[rng.randrange(len(content)) :]
        for _ in range(rng.choice([1, 4, 30]) if turn % 3 else 0):
            content[rng.randrange(min(len(content), 100 if turn % 2 else 10**6))] = rng.randrange(256)
        path.write_bytes(content)
        try:
            find_digits(read_picture(path).grey)
        except UnreadableError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 100 < refused < 550
