"""The finished page: what is drawn, undone, dropped or chosen on it, and what it says."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import vectors
from helpers.data_sets import synthetic
from PIL import Image, ImageDraw
from sheet import draw, draw_with_the_mouse, said, seen, tap
from strokes import STROKES

from mnist_mlp.data.sources import load
from mnist_mlp.extras.demo.build import build

pytestmark = pytest.mark.slow


def test_ten_digits_are_read_that_are_drawn_with_the_mouse_or_by_its_events(open_page, trained):
    data = trained.config.data
    page = open_page(build(trained, load(data)).html)
    answers = []
    for digit, strokes in STROKES.items():
        (draw_with_the_mouse if digit in "47" else draw)(page, strokes)  # the mouse takes a second for a round digit
        answers.append(said(page))
        page.keyboard.press("c")
    assert [re.match(r"(?:It says|Almost sure:|Not sure:) (\d)", answer)[1] for answer in answers] == list(STROKES)


def test_several_digits_are_framed_and_each_can_be_looked_at(page):
    draw(page, STROKES["4"], left=0.0, scale=0.45)
    draw(page, STROKES["7"], left=0.5, scale=0.45)
    assert "Digit 2 of 2" in said(page)  # the newest
    second = seen(page)
    assert page.locator("#boxes rect").count() == 2
    page.locator("#digits button").nth(0).click()
    assert "Digit 1 of 2" in said(page) and np.abs(seen(page) - second).max() > 0.5


def test_a_digit_that_was_added_on_the_left_is_the_one_shown(page):
    draw(page, STROKES["7"], left=0.5, scale=0.45)
    draw(page, STROKES["1"], left=0.0, scale=0.45)
    assert "Digit 1 of 2" in said(page)


def test_a_tap_on_a_frame_chooses_its_digit_and_leaves_no_dot(page):
    draw(page, STROKES["4"], left=0.0, scale=0.45)
    draw(page, STROKES["7"], left=0.5, scale=0.45)
    newest = said(page)
    tap(page, 0.22, 0.5)
    assert "Digit 1 of 2" in said(page)
    tap(page, 0.72, 0.5)
    assert said(page) == newest
    draw(page, [[(0.4, 0.9), (0.6, 0.9)]])
    page.locator("#undo").click()
    tap(page, 0.22, 0.5)
    said(page)
    assert page.locator("#redo").is_enabled()  # nothing new was drawn
    tap(page, 0.03, 0.03)  # outside of both: a dot, which is a digit of its own or none
    assert page.evaluate("document.getElementById('undo').disabled") is False


def test_a_small_digit_is_drawn_with_a_finer_pen_than_a_large_one(page):
    """So that both have the strokes of MNIST once they are of the same size."""
    widths = []
    for scale in (0.3, 0.6, 1.2):
        draw(page, STROKES["7"], left=0.5 - scale / 2, scale=scale)
        said(page)
        widths.append(seen(page).sum())
        page.keyboard.press("c")
    assert max(widths) < 1.15 * min(widths)


def test_undo_takes_back_the_last_stroke_and_clear_can_be_undone(page):
    assert said(page) == "Nothing drawn yet." and page.locator("#undo").is_disabled()
    draw(page, STROKES["1"])
    one, first = said(page), seen(page)
    draw(page, STROKES["4"])
    assert np.abs(seen(page) - first).max() > 0.1 and said(page)
    page.locator("#undo").click()
    page.locator("#undo").click()
    assert said(page) == one and np.array_equal(seen(page), first)
    page.locator("#clear").click()
    assert said(page) == "Nothing drawn yet." and page.locator("#clear").is_disabled()
    page.keyboard.press("Control+z")
    assert said(page) == one
    page.locator("#redo").click()
    assert said(page) == "Nothing drawn yet." and page.locator("#redo").is_disabled()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    assert said(page) == one
    draw(page, STROKES["4"])
    assert page.locator("#redo").is_disabled()  # what was undone is gone once something new is drawn


@pytest.mark.parametrize("key", ["z", "c"])
def test_a_stroke_ends_with_an_undo_or_clear_in_the_middle_of_it(page, key):
    draw(page, STROKES["1"], left=0.0, scale=0.4)
    before = seen(page)
    page.locator("#sheet").focus()
    for pressed in (" ", "ArrowDown", "ArrowDown", key, "ArrowDown", "ArrowRight"):
        page.keyboard.press(pressed)
    if key == "z":
        assert np.array_equal(seen(page), before)
    else:
        assert said(page) == "Nothing drawn yet."
    frame = page.locator("#sheet").bounding_box()
    page.mouse.move(frame["x"] + 150, frame["y"] + 60)
    page.mouse.down()
    page.mouse.move(frame["x"] + 150, frame["y"] + 90)
    page.keyboard.press(key)
    page.mouse.move(frame["x"] + 150, frame["y"] + 120)
    page.mouse.up()
    assert (said(page) == "Nothing drawn yet.") is (key == "c")


def test_a_wider_pen_leaves_more_ink(page):
    ink = []
    for width in ("0.5", "1", "2"):
        page.locator("#width").fill(width)
        draw(page, STROKES["7"])
        said(page)
        ink.append(seen(page).sum())
        page.keyboard.press("c")
    assert ink[0] < ink[1] < 0.9 * ink[2], ink  # thin strokes are thickened before they are read


def test_the_eraser_takes_ink_away(page):
    draw(page, STROKES["1"])
    said(page)
    page.locator("#eraser").click()
    draw(page, [[(0.53, 0.1), (0.5, 0.5), (0.47, 0.9)]])
    assert said(page) == "Nothing that could be a digit yet."


def test_a_blank_sheet_and_a_dot_are_no_digits(page):
    page.locator("#eraser").click()
    draw(page, STROKES["1"])
    assert said(page) == "Nothing drawn yet."
    assert float(seen(page).max()) == 0 and page.locator("#bars .first").count() == 0


def test_it_says_not_sure_below_the_threshold_of_the_calibration(open_page, predictor):
    doubtful = replace(predictor, calibration=replace(predictor.calibration, temperature=20.0, number_threshold=0.9))
    page = open_page(build(doubtful, synthetic()).html)
    draw(page, STROKES["3"])
    assert re.match(r"Not sure: \d \(\d+\.\d %\) or \d \(\d+\.\d %\)\.", said(page))
    assert page.locator("#digits").inner_text().endswith("?")


def test_for_what_is_no_digit_it_names_the_closest(open_page, predictor):
    strange = replace(predictor, calibration=replace(predictor.calibration, free_energy=-1e6))
    page = open_page(build(strange, synthetic()).html)
    draw(page, STROKES["3"])
    assert re.fullmatch(r"Not a digit; closest: \d\.", said(page))


def drop_file(page, content):
    drop = """(content) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], "digit.png"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, base64.b64encode(content).decode())


def test_pictures_can_be_dropped_and_one_that_is_none_is_said_to_be(page):
    picture = next(iter(vectors.pictures(1)))
    (expected,) = vectors.found_in(picture)
    file = io.BytesIO()
    picture.save(file, "PNG")
    drop_file(page, file.getvalue())
    page.wait_for_selector("#digits button")
    assert said(page).startswith("It says")
    assert np.abs(255 * seen(page) - expected.image).max() <= 2
    drop_file(page, b"no picture")
    page.wait_for_selector("#words:has-text('That file is no picture')")  # by function would need eval, which is off


@pytest.mark.parametrize(
    ("theme", "ground", "pen"), [("dark", (255, 255), 0), ("dark", (0, 0), 0), ("light", (255, 0), 255)]
)
def test_an_opened_picture_is_seen_and_drawn_on_in_its_own_colours(open_page, html, theme, ground, pen):
    """Black ink on white paper, black ink and white ink on nothing; `ground` has a grey level and its opacity."""
    page = open_page(html, color_scheme=theme)
    picture = Image.new("LA", (200, 200), ground)
    ImageDraw.Draw(picture).line([(60, 50), (140, 50), (95, 160)], fill=(pen, 255), width=16, joint="curve")
    file = io.BytesIO()
    picture.save(file, "PNG")
    drop_file(page, file.getvalue())
    page.wait_for_selector("#digits button")
    before = seen(page)
    tap(page, 0.1, 0.9)
    assert np.abs(seen(page) - before).max() < 0.02  # what the network sees of the digit
    page.keyboard.press("e")
    draw(page, [[(0.6, 0.25), (0.8, 0.25)]])
    said(page)
    sheet = page.evaluate("document.getElementById('sheet').toDataURL()").partition(",")[2]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet))).convert("L"))
    places = {"digit": (0.4, 0.25), "dot": (0.1, 0.9), "erased": (0.7, 0.25), "paper": (0.9, 0.6)}
    grey = {name: shown[int(y * len(shown)), int(x * len(shown))] for name, (x, y) in places.items()}
    assert grey == {"digit": pen, "dot": pen, "erased": 255 - pen, "paper": 255 - pen}


def test_frames_lie_on_the_digits_of_a_large_picture(page):
    """A picture above 4 megapixels is read at a smaller size."""
    picture = Image.new("L", (3000, 2000), 255)
    for x in (300, 2300):
        ImageDraw.Draw(picture).rectangle((x, 600, x + 80, 1400), fill=0)
    file = io.BytesIO()
    picture.save(file, "PNG")
    drop_file(page, file.getvalue())
    page.wait_for_selector("#boxes rect")
    lefts = [float(rect.get_attribute("x")) for rect in page.locator("#boxes rect").all()]
    # 200 units are the 3,000 pixels of the longer side; the frame is 2 units larger.
    assert lefts == pytest.approx([300 / 15 - 2, 2300 / 15 - 2], abs=1)


@pytest.mark.parametrize(("gap", "labels"), [(22, 6), (12, 1)])
def test_where_a_label_would_lie_on_a_digit_only_the_chosen_one_has_one(page, gap, labels):
    picture = Image.new("L", (200, 200), 255)
    for row in range(3):
        for x in (50, 120):
            ImageDraw.Draw(picture).rectangle((x, 16 + row * (40 + gap), x + 6, 56 + row * (40 + gap)), fill=0)
    file = io.BytesIO()
    picture.save(file, "PNG")
    drop_file(page, file.getvalue())
    page.wait_for_selector("#boxes rect")
    assert (page.locator("#boxes rect").count(), page.locator("#boxes text").count()) == (6, labels)
    assert page.locator("#boxes text.chosen").count() == 1


def test_a_test_digit_goes_to_the_network_as_it_is_and_can_be_drawn_on(page):
    page.locator("#wrong button").first.click()
    assert re.search(r"The label says \d: a mistake\.$", said(page))
    assert page.locator("#wrong button").first.get_attribute("aria-pressed") == "true"
    before = seen(page)
    draw(page, [[(0.1, 0.1), (0.9, 0.9)]])
    assert "label" not in said(page) and np.abs(seen(page) - before).max() > 0.5


def test_a_round_of_ten_digits_counts_those_read_right(page):
    page.locator("#ten").click()
    right = 0
    for number in range(10):
        asked = page.locator("#prompt b").inner_text()
        assert f"({number + 1} of 10)" in page.locator("#prompt").inner_text()
        if number == 5:  # two digits are written once, and nothing once
            draw(page, STROKES["4"], left=0.0, scale=0.45)
            draw(page, STROKES["7"], left=0.5, scale=0.45)
            said(page)
            found = page.locator("#digits button").all_inner_texts()
        elif number != 4:
            draw(page, STROKES[asked])
            right += re.search(r"\d", said(page))[0] == asked
        page.locator("#next").focus()
        page.keyboard.press("Enter")
    assert page.locator("#prompt").inner_text() == f"{right} of 10 read right."
    results = page.locator("#written small").all_inner_texts()
    assert len(results) == 10 and sum(text.endswith("✓") for text in results) == right
    assert results[4].endswith("→ nothing ✗")
    assert results[5].endswith(f"→ {', '.join(found).replace('?', '')} ✗") and len(found) == 2
    focused = "document.activeElement.id"
    assert page.evaluate(focused) == "stop"
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "ten" and page.locator("#written").is_hidden()
