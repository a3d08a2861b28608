"""From grey levels to digits: found, counted, boxed, and like MNIST's own."""

import itertools

import numpy as np
import pytest
from extras.handwriting.drawings import beside_a_shadow, on_lines, photograph, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from mnist_mlp.data.synthetic import draw
from mnist_mlp.extras.handwriting.connected_components import Box, gather
from mnist_mlp.extras.handwriting.mnist_format import widening
from mnist_mlp.extras.handwriting.segmentation import find_digits


def test_a_small_piece_joins_a_body_in_reach_also_if_a_smaller_one_is_nearer():
    tall, piece, low = Box(0, 0, 40, 100), Box(20, 115, 60, 145), Box(70, 115, 100, 145)
    assert gather([tall, piece]) == [[0, 1]]
    assert gather([tall, piece, low]) == [[0, 1], [2]]


def grey(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L"))


@pytest.fixture(scope="module")
def mnist_like() -> np.ndarray:
    return draw(200, seed=3)[0]


def same(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two images, at the better of nine shifts by a pixel."""
    shifts = [np.roll(one, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(float(np.corrcoef(image.ravel(), other.ravel())[0, 1]) for image in shifts)


def test_an_image_made_like_mnist_stays_as_it_is(mnist_like):
    changes = []
    for image in mnist_like:
        mass = image / image.sum()
        middle = np.array([mass.sum(1) @ np.arange(28), mass.sum(0) @ np.arange(28)])
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        if max(np.ptp(rows), np.ptp(columns)) == 19 and np.abs(middle - 14).max() < 1:
            [digit] = find_digits(image)
            changes.append(same(digit.image, image))
    assert len(changes) > 5 and np.median(changes) > 0.99


def test_a_digit_is_twenty_pixels_long_with_its_mass_in_the_middle(mnist_like):
    for image in mnist_like[:50]:
        [digit] = find_digits(np.asarray(Image.fromarray(image).resize((83, 131))))
        mass = digit.image / digit.image.sum()
        rows, columns = np.flatnonzero(digit.image.max(1) >= 30), np.flatnonzero(digit.image.max(0) >= 30)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
        assert abs(mass.sum(1) @ np.arange(28) - 14) <= 0.51 and abs(mass.sum(0) @ np.arange(28) - 14) <= 0.51


@pytest.mark.parametrize("text", ["7", "40", "1234567890"])
def test_a_number_is_read_from_left_to_right_with_a_box_for_each_digit(text):
    sheet = write(text, np.random.default_rng(1))
    boxes = [digit.box for digit in find_digits(grey(sheet))]
    assert len(boxes) == len(text)
    assert all(one.x1 <= other.x0 + 5 for one, other in itertools.pairwise(boxes))
    ink = grey(sheet) < 100
    covered = np.zeros_like(ink)
    for box in boxes:
        covered[box.y0 : box.y1, box.x0 : box.x1] = True
    assert not (ink & ~covered).any() and covered.mean() < 0.6


def test_lines_are_read_from_top_to_bottom():
    sheets = [write(text, np.random.default_rng(2)) for text in ("11", "000")]
    page = np.full((sum(s.height for s in sheets), max(s.width for s in sheets)), 255, np.uint8)
    page[: sheets[0].height, : sheets[0].width] = grey(sheets[0])
    page[sheets[0].height :, : sheets[1].width] = grey(sheets[1])
    widths = [digit.box.width for digit in find_digits(page)]
    assert len(widths) == 5 and max(widths[:2]) < min(widths[2:])


def variants() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    page = grey(write("52", rng, ink=30)).astype(np.float64)
    down, across = np.mgrid[: page.shape[0], : page.shape[1]] / max(page.shape)
    framed = np.pad(page, 30, constant_values=15)
    framed[28:31] = 90  # the edge of the paper
    return {
        "light on dark": 255 - page,
        "faint": 200 - (255 - page) * 0.15,
        "under a slanting light": page * (0.4 + 0.6 * across),
        "half in shadow": page * np.where(across + 0.3 * down > 0.5, 0.5, 1),
        "noisy": page * 0.8 + 25 + rng.normal(0, 8, page.shape),
        "with dust": np.where(rng.random(page.shape) < 0.002, 60, page),
        "on a dark table": framed,
        "very large": np.kron(page, np.ones((6, 6))),
    }


@pytest.mark.parametrize("variant", variants())
def test_the_same_writing_gives_the_same_digits(variant):
    expected = find_digits(variants()["light on dark"].astype(np.uint8))
    found = find_digits(variants()[variant].clip(0, 255).astype(np.uint8))
    assert len(found) == len(expected) == 2
    for digit, reference in zip(found, expected, strict=True):
        assert same(digit.image, reference.image) > 0.9


@given(
    text=st.text("0123456789", min_size=1, max_size=3),
    seed=st.integers(0, 1000),
    borders=st.tuples(*[st.integers(0, 90)] * 4),  # pixels of paper above, below, left and right
    inverted=st.booleans(),
    factor=st.sampled_from([1, 1, 2, 3]),
)
@settings(max_examples=20)
def test_where_a_number_stands_how_large_it_is_and_which_is_lighter_changes_nothing(
    text, seed, borders, inverted, factor
):
    sheet = grey(write(text, np.random.default_rng(seed), height=40))
    top, bottom, left, right = borders
    page = np.pad(sheet, ((top, bottom), (left, right)), mode="edge").repeat(factor, 0).repeat(factor, 1)
    before, after = find_digits(sheet), find_digits(255 - page if inverted else page)
    assert len(before) == len(after)
    for digit, other in zip(before, after, strict=True):
        expected = factor * np.add([*vars(digit.box).values()], [left, top, left, top])
        assert np.abs(expected - [*vars(other.box).values()]).max() <= factor
        assert same(other.image, digit.image) > (0.95 if factor == 1 else 0.9)


@pytest.mark.parametrize("desk", [False, True])
def test_digits_are_found_in_simulated_photographs(desk):
    rng = np.random.default_rng(5)
    for _ in range(10):
        photo = photograph(write("4071", rng), rng, side=500, desk=desk)
        assert len(find_digits(grey(photo))) == 4


@pytest.mark.parametrize(("pen", "height"), [(0.02, 300), (0.2, 60), (0.12, 10)])
def test_strokes_come_out_as_wide_as_mnists_whatever_the_pen(pen, height):
    for number in range(10):
        [digit] = find_digits(grey(write(str(number), np.random.default_rng(6), pen=pen, height=height)))
        assert 30 < (digit.image > 100).sum() < 200  # MNIST: 1st and 99th percentile 43 and 204


def test_a_number_in_narrow_handwriting_gives_the_digits_of_a_wide_one():
    sheet = write("20368953", np.random.default_rng(14), height=120)
    squeezed = sheet.resize((int(0.7 * sheet.width), sheet.height), Image.Resampling.LANCZOS)
    wide, narrow = find_digits(grey(sheet)), find_digits(grey(squeezed))
    assert [digit.box.height for digit in narrow] == [digit.box.height for digit in wide]
    assert max(digit.box.width for digit in narrow) < 80
    for one, other in zip(wide, narrow, strict=True):
        assert same(one.image, other.image) > 0.95


@pytest.mark.parametrize("text", ["8", "11111111", "1117117"])
def test_one_digit_alone_and_the_1s_of_a_number_stay_narrow(text):
    sheet = write(text, np.random.default_rng(8), height=120)
    digits = find_digits(grey(sheet.resize((int(0.6 * sheet.width), sheet.height))))
    assert len(digits) == len(text)
    for digit in digits:
        rows, columns = (np.count_nonzero(digit.image.max(axis) >= 30) for axis in (1, 0))
        assert columns / rows == pytest.approx(digit.box.width / digit.box.height, abs=0.1)


@pytest.mark.parametrize(
    ("widths", "factor"),
    [
        ([45, 46, 47, 48, 75, 80], 0.6 / 0.48),
        ([30, 31, 32, 45, 46, 47, 48, 75, 80], 0.6 / 0.48),  # three 1s, perhaps with flags
        ([30, 31, 32, 45, 46, 48], 1),  # too few others to tell
        ([45, 46, 47, 61, 75, 80], 1),
    ],
)
def test_the_median_of_the_widths_without_the_1s_decides_whether_a_number_is_narrow(widths, factor):
    assert widening([Box(0, 5, width, 105) for width in widths]) == pytest.approx(factor)


def test_digits_that_touch_are_one_piece_whose_halves_are_the_digits():
    for text, seed in (("25", 1), ("25", 3)):
        apart = find_digits(grey(write(text, np.random.default_rng(seed), height=80)))
        [piece] = find_digits(grey(write(text, np.random.default_rng(seed), height=80, gap=-0.06)))
        assert len(apart) == len(piece.halves) == 2 and not apart[0].halves
        for half, digit in zip(piece.halves, apart, strict=True):
            assert same(half.image, digit.image) > 0.85
            assert abs(half.box.width - digit.box.width) < 12
            assert piece.box.x0 <= half.box.x0 and half.box.x1 <= piece.box.x1


def test_a_stroke_in_two_pieces_is_one_digit():
    five = grey(write("5", np.random.default_rng(0), height=100)).copy()
    whole = find_digits(five)
    rows = np.flatnonzero((five < 128).any(1))
    cut = rows[0] + int(0.35 * np.ptp(rows))
    five[cut : cut + 5] = 255
    [digit] = find_digits(five)
    assert digit.box == whole[0].box


def test_a_stroke_that_shrinking_broke_is_one_digit_in_a_thumbnail():
    five = np.full((28, 28), 255, np.uint8)
    five[4:7, 9:21] = five[13:16, 13:19] = five[17:24, 18:20] = five[22:24, 10:18] = 0
    [digit] = find_digits(five)
    assert digit.box == Box(9, 4, 21, 24)


def test_a_blurred_digit_that_is_cut_close_is_not_taken_for_a_frame():
    sheet = write("3", np.random.default_rng(0), height=80, pen=0.15).filter(ImageFilter.GaussianBlur(4))
    [whole] = find_digits(grey(sheet))
    box = whole.box
    [digit] = find_digits(grey(sheet)[box.y0 : box.y1, box.x0 : box.x1])
    assert same(digit.image, whole.image) > 0.9


BLANK = {
    "white": np.full((50, 60), 255, np.uint8),
    "black": np.zeros((50, 60), np.uint8),
    "one pixel": np.zeros((1, 1), np.uint8),
    "a line of pixels": np.arange(100, dtype=np.uint8)[None],
    "slope": np.tile(np.linspace(120, 200, 200), (150, 1)).astype(np.uint8),
    "noisy paper": np.random.default_rng(0).normal(200, 8, (200, 200)).clip(0, 255).astype(np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8),
    "half in shadow": np.where(np.arange(200) < 90, 120, 220)[None].repeat(100, 0).astype(np.uint8),
}


@pytest.mark.parametrize("kind", BLANK)
def test_nothing_is_found_where_nothing_is_written(kind):
    assert find_digits(BLANK[kind]) == []


def test_boxes_know_their_distance():
    box = Box(0, 0, 4, 10)
    assert box.gap(Box(7, 20, 9, 30)) == 10 and box.gap(Box(2, 2, 3, 3)) == 0
    assert box.union(Box(7, 20, 9, 30)) == Box(0, 0, 9, 30) and box.moved(1, 2) == Box(1, 2, 5, 12)


def around(sheet: np.ndarray, *, width: int, height: int, table: int) -> Image.Image:
    """A sheet in the middle of a table."""
    page = Image.new("L", (width, height), table)
    page.paste(Image.fromarray(sheet), ((width - sheet.shape[1]) // 2, (height - sheet.shape[0]) // 2))
    return page


@pytest.mark.parametrize("turn", [0, 4])
@pytest.mark.parametrize(("table", "share"), [(40, 0.3), (40, 0.8), (90, 0.5)])
def test_a_small_or_tilted_sheet_on_a_dark_table_is_looked_into(turn, table, share):
    sheet = np.asarray(write("42", np.random.default_rng(3), height=60, paper=230))
    side = round(max(sheet.shape) / share)
    page = around(sheet, width=side, height=side, table=table)
    found = find_digits(np.asarray(page.rotate(turn, Image.Resampling.BICUBIC, fillcolor=table)))
    assert len(found) == 2 and all(40 < digit.box.height < 80 for digit in found)


def test_frames_and_circles_are_left_out_and_what_they_hold_is_found():
    page = Image.new("L", (420, 160), 250)
    pen, found = ImageDraw.Draw(page), []
    for n, (text, shape) in enumerate((("2", pen.rectangle), ("0", pen.ellipse), ("6", pen.rectangle))):
        digit = write(text, np.random.default_rng(n), height=50, margin=0.1, paper=250)
        shape((20 + 130 * n, 20, 130 + 130 * n, 140), outline=30, width=4)
        page.paste(digit, (75 + 130 * n - digit.width // 2, 80 - digit.height // 2))
        found.append(75 + 130 * n)
    boxes = [digit.box for digit in find_digits(np.asarray(page))]
    assert [abs(box.middle[0] - x) < 10 for box, x in zip(boxes, found, strict=True)] == [True] * 3
    assert all(box.height < 65 for box in boxes)


def test_small_digits_beside_a_tall_one_are_digits_of_their_own_in_its_line():
    """A price: 9 and, half as high, 95 beside its upper end; then an exponent close by."""
    for gap in (8, 40):
        page = Image.new("L", (320, 160), 250)
        tall, small = write("9", np.random.default_rng(0), height=100), write("95", np.random.default_rng(1), height=40)
        page.paste(tall.crop(tall.point(lambda grey: 255 - grey).getbbox()), (20, 30))
        right = 20 + np.flatnonzero((np.asarray(page) < 128).any(0))[-1] - 20
        page.paste(small.crop(small.point(lambda grey: 255 - grey).getbbox()), (int(right) + gap, 30))
        boxes = [digit.box for digit in find_digits(np.asarray(page))]
        assert len(boxes) == 3 and boxes[0].height > 90 and [box.x0 for box in boxes] == sorted(box.x0 for box in boxes)


@pytest.mark.parametrize("seed", range(8))
def test_a_small_or_pale_number_beside_a_hard_edged_shadow_is_found(seed):
    page, text, (left, right) = beside_a_shadow(np.random.default_rng(seed))
    boxes = [digit.box for digit in find_digits(grey(page))]
    assert len(boxes) == len(text)
    assert all(left <= box.x0 and box.x1 <= right for box in boxes)


@pytest.mark.parametrize("squared", [False, True])
def test_ruled_and_squared_paper_is_no_writing(squared):
    for seed in range(5):
        page, text = on_lines(np.random.default_rng(seed), squared=squared)
        assert len(find_digits(grey(page))) == len(text)


def test_a_blurred_digit_of_few_pixels_is_no_sheet_of_paper():
    """Scikit-learn's digits are 8 x 8: their loops are grey, and were taken for what is written on a sheet."""
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    pages = [np.pad(255 - image * 255 / 16, 1, constant_values=255) for image in load_digits().images[:150]]
    enlarged = [Image.fromarray(page.astype(np.uint8)).resize((100, 100), Image.Resampling.BICUBIC) for page in pages]
    assert sum(len(find_digits(grey(page))) == 1 for page in enlarged) >= 149
