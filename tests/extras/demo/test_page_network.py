"""The network in the finished page: its answers are those of Python, while one draws; its units explain themselves."""

import re

import numpy as np
import pytest
import torch
import vectors
from sheet import draw, said, seen
from strokes import STROKES

pytestmark = pytest.mark.slow


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


def test_the_answer_follows_each_point_while_the_pen_is_down(page):
    said(page)
    frame = page.locator("#sheet").bounding_box()
    points = [(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in STROKES["3"][0][:5]]
    page.mouse.move(*points[0])
    page.mouse.down()
    pictures = []
    for point in points[1:]:
        page.mouse.move(*point)
        said(page)
        pictures.append(seen(page).tobytes())
    assert len(set(pictures)) == len(points) - 1
    page.mouse.up()
    assert said(page) != "Nothing drawn yet."


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
