"""The finished page in a real browser, from a file, with the network switched off."""

import base64
import io
import os
import re
import shutil
import subprocess
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import vectors
from helpers import untrained_network as untrained
from helpers.data_sets import synthetic
from strokes import STROKES

from mnist_mlp.data.sources import load
from mnist_mlp.extras.demo.build import build
from mnist_mlp.extras.inference.predictor import Predictor

pytestmark = pytest.mark.slow

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "google-chrome", "chrome")) if path), None)


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        if CHROMIUM is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium on PATH and none of playwright's own")
        options = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens HTML offline; afterwards there must have been neither a request nor a word on the console."""
    contexts, complaints = [], []

    def open_page(html, **options):
        path = tmp_path / "demo.html"
        path.write_text(html, encoding="utf-8")
        context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        assert complaints == [path.as_uri()]
        complaints.clear()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [words for words in complaints if not words.startswith(("data:", "blob:"))] == []


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return untrained.predictor(tmp_path_factory.mktemp("untrained"), "model.hidden=[128,64]")


@pytest.fixture(scope="module")
def html(predictor):
    return build(predictor, synthetic()).html


@pytest.fixture
def page(open_page, html):
    return open_page(html)


@pytest.fixture(scope="module")
def trained(default_run):
    """A network that has seen handwriting."""
    return Predictor.load(default_run)


def draw(page, strokes, left=0.0, scale=1.0):
    """Draw with events like those of a mouse, all in one call; `left` and `scale` in shares of the sheet."""
    placed = [[(left + scale * x, 0.5 + scale * (y - 0.5)) for x, y in stroke] for stroke in strokes]
    page.locator("#sheet").scroll_into_view_if_needed()
    page.evaluate(
        """(strokes) => {
            const sheet = document.getElementById("sheet");
            const { x, y, width, height } = sheet.getBoundingClientRect();
            for (const points of strokes) {
                const tell = (name, [across, down], buttons) => sheet.dispatchEvent(new PointerEvent(name, {
                    pointerId: 1, pointerType: "mouse", isPrimary: true, bubbles: true, cancelable: true, buttons,
                    clientX: x + across * width, clientY: y + down * height,
                }));
                tell("pointerdown", points[0], 1);
                points.slice(1).forEach((point) => tell("pointermove", point, 1));
                tell("pointerup", points[points.length - 1], 0);
            }
        }""",
        placed,
    )


def draw_with_the_mouse(page, strokes):
    page.locator("#sheet").scroll_into_view_if_needed()
    frame = page.locator("#sheet").bounding_box()
    for stroke in strokes:
        points = [(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def said(page):
    """What the page says once it has shown it."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator("#words").inner_text()


def seen(page):
    """The picture that the network is shown to see, as grey levels from paper to ink: (28, 28) in [0, 1]."""
    pixels = page.evaluate("[...document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data]")
    red = np.array(pixels, float).reshape(28, 28, 4)[..., 0]
    style = "getComputedStyle(document.documentElement).getPropertyValue('--{}').slice(1, 3)"
    paper, ink = (int(page.evaluate(style.format(name)), 16) for name in ("paper", "ink"))
    return (red - paper) / (ink - paper)


def test_ten_digits_drawn_with_the_mouse_are_read(open_page, trained):
    data = trained.config.data
    page = open_page(build(trained, load(data)).html)
    answers = []
    for strokes in STROKES.values():
        draw_with_the_mouse(page, strokes)
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
    tap(page, 0.03, 0.03)  # outside of both: a dot, which is a digit of its own or none
    assert page.evaluate("document.getElementById('undo').disabled") is False


def tap(page, x, y):
    frame = page.locator("#sheet").bounding_box()
    page.mouse.click(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])


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


def test_pictures_can_be_dropped_and_one_that_is_none_is_said_to_be(page):
    picture = next(iter(vectors.pictures(1)))
    (expected,) = vectors.found_in(picture)
    file = io.BytesIO()
    picture.save(file, "PNG")
    drop = """(content) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], "digit.png"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, base64.b64encode(file.getvalue()).decode())
    page.wait_for_selector("#digits button")
    assert said(page).startswith("It says")
    assert np.abs(255 * seen(page) - expected.image).max() <= 2
    page.evaluate(drop, base64.b64encode(b"no picture").decode())
    page.wait_for_selector("#words:has-text('That file is no picture')")  # by function would need eval, which is off


def test_a_test_digit_goes_to_the_network_as_it_is_and_can_be_drawn_on(page):
    page.locator("#wrong button").first.click()
    assert re.search(r"The label says \d: a mistake\.$", said(page))
    assert page.locator("#wrong button").first.get_attribute("aria-pressed") == "true"
    before = seen(page)
    draw(page, [[(0.1, 0.1), (0.9, 0.9)]])
    assert "label" not in said(page) and np.abs(seen(page) - before).max() > 0.5


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


def test_200_pictures_and_their_probabilities_are_those_of_python(open_page, html, predictor):
    page = open_page(
        html.replace("\ndescribe();", "\nglobalThis.parts = { readPicture, network };\ndescribe();"), bypass_csp=True
    )
    read = """(pictures) => pictures.map(({ width, height, rgba }) => {
        const data = Uint8ClampedArray.from(atob(rgba), (letter) => letter.charCodeAt(0));
        const answer = ({ image }) => ({ image: [...image], of: [...parts.network.answer(image).probabilities] });
        return parts.readPicture(new ImageData(data, width, height)).map(answer);
    })"""
    pictures = list(vectors.pictures(200, longest=120))
    got = [
        digit
        for start in range(0, 200, 50)
        for digits in page.evaluate(read, [vectors.picture_json(each) for each in pictures[start : start + 50]])
        for digit in digits
    ]
    expected = np.stack([digit.image.ravel() for each in pictures for digit in vectors.found_in(each)])
    images = np.array([digit["image"] for digit in got], np.uint8)
    assert np.abs(images.astype(int) - expected).max() <= 1
    probabilities = predictor.log_probabilities(torch.from_numpy(images)).exp().numpy()
    assert np.abs(probabilities - [digit["of"] for digit in got]).max() < 1e-4


def test_an_answer_takes_a_few_milliseconds_after_each_point(page):
    """From the event to the probabilities. The fastest of many: the others say how busy the machine is."""
    draw(page, STROKES["3"][:1])
    frame = page.locator("#sheet").bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.3, frame["y"] + frame["height"] * 0.3)
    page.mouse.down()
    milliseconds = page.evaluate(
        """({ x, y, width, height }) => [...Array(60).keys()].map((step) => {
            const place = { clientX: x + width * (0.3 + step / 200), clientY: y + height * 0.3 };
            const event = new PointerEvent("pointermove", { pointerId: 1, bubbles: true, ...place });
            const began = performance.now();
            document.getElementById("sheet").dispatchEvent(event);
            return performance.now() - began;
        })""",
        frame,
    )
    page.mouse.up()
    assert min(milliseconds) < 10


def test_a_unit_that_is_pointed_at_shows_its_weights_input_value_and_outgoing_connections(page, predictor):
    draw(page, STROKES["3"])
    said(page)
    layer = page.locator("#diagram canvas").nth(1)
    layer.hover(position={"x": 2, "y": 2})
    assert page.locator("#unit-name").inner_text() == "Unit 1 of hidden layer 1"
    image = torch.from_numpy((255 * seen(page)).round().astype(np.uint8))[None]
    network = predictor.network
    with torch.no_grad():
        values = network.normalise(image)
        sums = network.layers[0](values)[0, 0].item()
        outgoing = [layer for layer in network.layers if isinstance(layer, torch.nn.Linear)][1].weight[:, 0]
    text = page.locator("#unit-sum").inner_text().replace("\u2212", "-")
    products, bias, total, value = map(float, re.findall(r"-?\d+\.\d\d", text))
    assert products + bias == pytest.approx(total, abs=0.02) and total == pytest.approx(sums, abs=0.1)
    assert value == pytest.approx(max(total, 0), abs=0.01)
    strongest = int(outgoing.abs().argmax())
    assert f"above all to unit {strongest + 1} ({outgoing[strongest]:+.2f})" in page.locator(
        "#unit-outgoing"
    ).inner_text().replace("\u2212", "-")
    assert page.locator("#connections line").count() == 24
    page.mouse.move(0, 0)
    assert page.locator("#unit-name").inner_text().startswith("Output ")


def test_a_tapped_unit_stays_and_the_arrow_keys_walk_to_the_next(page):
    page.locator("#diagram canvas").last.click()
    first = page.locator("#unit-name").inner_text()
    page.mouse.move(0, 0)
    assert page.locator("#unit-name").inner_text() == first and first.startswith("Output ")
    page.locator("#diagram canvas").nth(2).focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#unit-name").inner_text() == "Unit 2 of hidden layer 2"
    assert page.locator("#unit-spoken").inner_text().startswith("Unit 2 of hidden layer 2.")
    page.locator("#weights").click(position={"x": 5, "y": 5})
    assert page.locator("#unit-name").inner_text() == "Unit 1 of hidden layer 1"


def test_a_round_of_ten_digits_counts_those_read_right(page):
    page.locator("#ten").click()
    right = 0
    for number in range(10):
        asked = page.locator("#prompt b").inner_text()
        assert f"({number + 1} of 10)" in page.locator("#prompt").inner_text()
        if number != 4:  # nothing is written once
            draw(page, STROKES[asked])
            right += re.search(r"\d", said(page))[0] == asked
        page.locator("#next").click()
    assert page.locator("#prompt").inner_text() == f"{right} of 10 read right."
    results = page.locator("#written small").all_inner_texts()
    assert len(results) == 10 and sum(text.endswith("✓") for text in results) == right
    assert results[4].endswith("→ nothing ✗")


@pytest.fixture(scope="module")
def mnist_html(trained):
    return build(trained, load(trained.config.data)).html


def test_the_page_of_the_usual_network_is_below_2_megabytes(mnist_html):
    assert len(mnist_html.encode()) < 2e6


def accuracy(page):
    words = page.locator("#progress").inner_text()
    found = re.search(r"right on (> )?([\d.]+) %", words)
    return float(found[2]) if found else 0.0


def test_the_page_trains_a_network_to_93_percent_and_stays_awake(open_page, mnist_html, record_property):
    page = open_page(mnist_html)
    draw(page, STROKES["3"])
    page.locator("#train").click()
    began, reached = time.monotonic(), 0.0
    while reached < 93 and time.monotonic() - began < 120:
        page.wait_for_timeout(200)
        reached = accuracy(page)
    seconds = time.monotonic() - began
    record_property("seconds to 93 %", round(seconds, 1))
    print(f"93 % after {seconds:.1f} s: {page.locator('#progress').inner_text()}")
    assert reached >= 93  # within 20 s where the machine does nothing else
    assert re.match(r"It takes your drawing for \d", page.locator("#fresh-words").inner_text())
    waits = page.evaluate("""async () => {
        const waits = [];
        for (let n = 0; n < 20; n++) {
            const began = performance.now();
            await new Promise((done) => setTimeout(done));
            waits.push(performance.now() - began);
        }
        return waits;
    }""")
    assert np.quantile(waits, 0.25) < 250  # milliseconds: what a click waits while it learns, or for other processes
    page.locator("#train").click()
    paused = page.locator("#progress").inner_text()
    page.wait_for_timeout(300)
    assert page.locator("#progress").inner_text() == paused


@pytest.mark.parametrize("rate", ["too small", "too big"])
def test_a_wrong_learning_rate_leads_nowhere(rate, open_page, mnist_html):
    page = open_page(mnist_html)
    page.get_by_label(rate).check()
    page.locator("#train").click()
    page.wait_for_selector("#progress:has-text('step 1')")
    for _ in range(200):
        page.wait_for_timeout(100)
        step = int(re.search(r"step ([\d,]+)", page.locator("#progress").inner_text())[1].replace(",", ""))
        if step > 110:
            break
    assert step > 110 and accuracy(page) < 60


def test_slow_is_two_steps_a_second(page):
    page.locator("#speed").fill("0")
    page.locator("#train").click()
    page.wait_for_selector("#progress:has-text('step 1')")
    began = time.monotonic()
    page.wait_for_selector("#progress:has-text('step 4')")
    assert time.monotonic() - began > 1.2


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
