"""The finished page on phones and wide screens, in the dark, by touch and keyboard, and to tools of accessibility."""

import re
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import untrained_network as untrained
from helpers.data_sets import synthetic
from sheet import draw, said, seen
from strokes import STROKES

from mnist_mlp.extras.demo.build import build

pytestmark = pytest.mark.slow


def test_a_finger_draws_and_the_page_stays_where_it_is(open_page, html):
    page = open_page(html, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    frame = page.locator("#sheet").bounding_box()
    session = page.context.new_cdp_session(page)
    x = frame["x"] + frame["width"] / 2
    heights = [frame["y"] + share * frame["height"] for share in np.linspace(0.8, 0.2, 10)]
    for kind, points in [
        ("touchStart", [{"x": x, "y": heights[0]}]),
        *[("touchMove", [{"x": x, "y": y}]) for y in heights],
        ("touchEnd", []),
    ]:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert said(page).startswith("It says") and seen(page).sum() > 20
    assert page.evaluate("scrollY") == 0


def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_answer_is_in_sight(open_page, html):
    page = open_page(html, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    words = page.locator("#words").bounding_box()
    assert words["y"] + words["height"] < 844
    for button in page.locator("#draw button:visible").all():
        assert button.bounding_box()["height"] >= 40  # pixels: a fingertip


def test_classes_with_names_and_a_network_without_hidden_layers_are_shown_too(open_page, tmp_path):
    linear = untrained.predictor(tmp_path, "model.hidden=[]")
    names = ["Ankle boot", *(f"Kind {letter}" for letter in "ABCDEFGHI")]
    html = build(replace(linear, class_names=names), synthetic()).html
    page = open_page(html, viewport={"width": 390, "height": 844})
    assert page.locator("h1").inner_text() == "Draw what it knows"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#right button").first.click()
    assert re.match(r"It says (Ankle boot|Kind .) .*\. The label says ", said(page))


def test_the_answer_to_a_test_image_is_in_sight_where_it_was_tapped(open_page, html):
    page = open_page(html)
    for size in ({"width": 375, "height": 812}, {"width": 812, "height": 375}, {"width": 1280, "height": 800}):
        page.set_viewport_size(size)
        page.locator("#wrong button").last.click()
        words = said(page)
        page.wait_for_selector("#dock:not([hidden])")
        place = page.locator("#dock-words").bounding_box()
        assert page.locator("#dock-words").inner_text() == words
        assert place["y"] >= 0 and place["y"] + place["height"] <= size["height"]
        page.locator("#dock").click()
        page.wait_for_selector("#dock", state="hidden")


def test_dark_and_light_follow_the_system_and_the_button(open_page, html):
    page = open_page(html, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(19, 20, 25)"
    draw(page, STROKES["7"])
    words, dark = said(page), seen(page)
    page.locator("#theme").click()
    assert page.evaluate(background) == "rgb(245, 244, 239)"
    assert said(page) == words and np.abs(seen(page) - dark).max() < 0.01


def test_everything_can_be_done_without_a_mouse(page):
    for _ in range(6):  # four links to parts of the page, light or dark, the sheet
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "sheet"
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    for _ in range(16):
        page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowLeft")
    assert said(page).startswith("It says") and seen(page).any(axis=1).sum() >= 19
    page.keyboard.press("e")
    assert page.locator("#eraser").get_attribute("aria-pressed") == "true"
    page.keyboard.press("z")
    assert said(page) == "Nothing drawn yet."
    page.locator("#right button").first.focus()
    page.keyboard.press("Enter")
    assert "The label says 0." in said(page)


@pytest.fixture(scope="module")
def axe(request):
    """The source of axe-core, which finds what breaks the rules of accessibility; kept in pytest's cache."""
    folder = Path(request.config.cache.mkdir("axe-core"))
    tarball = folder / "axe-core-4.11.0.tgz"
    if not tarball.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not on PATH")
        words = [npm, "pack", "axe-core@4.11.0", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1"]
        try:
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            pytest.skip("no answer from npm within 60 s")
        if done.returncode:
            pytest.skip(f"npm has no axe-core: {done.stderr.strip()}")
    with tarfile.open(tarball) as package:
        return package.extractfile("package/axe.min.js").read().decode()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation_on_screens_of_any_size(theme, open_page, html, axe):
    page = open_page(html, color_scheme=theme)
    draw(page, STROKES["3"])
    page.locator("#ten").click()
    draw(page, STROKES["4"])
    page.locator("#wrong button").last.click()
    page.evaluate(axe)
    for width, height in ((375, 812), (812, 375), (1280, 800)):
        page.set_viewport_size({"width": width, "height": height})
        said(page)
        violations = page.evaluate("async () => (await axe.run()).violations")
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations] == [], (width, height)


def test_nothing_is_wider_than_the_screen_and_on_its_side_the_answer_is_beside_the_drawing(page):
    """640 x 400 is a window of 1280 x 800 at 200 %."""
    draw(page, STROKES["3"])
    for width, height in ((320, 640), (375, 812), (812, 375), (640, 400), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        said(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width > height:
            sheet, words = (page.locator(place).bounding_box() for place in ("#sheet", "#words"))
            assert sheet["height"] <= height and words["x"] > sheet["x"] + sheet["width"]


def test_where_the_system_chooses_the_colours_what_is_pressed_is_still_seen(open_page, html):
    page = open_page(html, forced_colors="active")
    width = "getComputedStyle(document.getElementById('{}')).outlineWidth"
    style = "getComputedStyle(document.getElementById('{}')).outlineStyle"
    assert page.evaluate(style.format("pen")) == "solid" and page.evaluate(width.format("pen")) == "3px"
    assert page.evaluate(style.format("eraser")) == "none"
