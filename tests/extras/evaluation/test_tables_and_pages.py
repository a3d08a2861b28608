"""Tables and pictures hold whatever a data set brings: a thousand classes, long names, colours, perfect networks."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mnist_mlp.extras.evaluation import mistakes_picture as mistakes_picture_module
from mnist_mlp.extras.evaluation import pictures, plots
from mnist_mlp.extras.evaluation.confusion_picture import confusion_picture
from mnist_mlp.extras.evaluation.ensemble import NetworkPredictions
from mnist_mlp.extras.evaluation.evaluate import measured
from mnist_mlp.extras.evaluation.metrics import confusion
from mnist_mlp.extras.evaluation.mistakes_picture import as_picture, mistakes_picture
from mnist_mlp.extras.evaluation.page import write_page
from mnist_mlp.extras.evaluation.tables import confused_pairs, tables
from mnist_mlp.extras.inference.predictions import Predictions
from mnist_mlp.extras.inference.predictor import Calibration


def answers(classes: int, images: int, wrong: float) -> NetworkPredictions:
    """Of a network that takes this share of the images for another class."""
    generator = np.random.default_rng(0)
    labels = generator.integers(classes, size=images)
    guesses = np.where(generator.uniform(size=images) < wrong, (labels + 1) % classes, labels)
    logits = generator.normal(size=(images, classes))
    logits[np.arange(images), guesses] += generator.uniform(6, 12, size=images)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return NetworkPredictions(
        name="network",
        raw=Predictions(log_probabilities=log_probabilities, labels=labels),
        calibration=Calibration(temperature=1.25, threshold=0.7),
    )


def evaluated(folder: Path, answer: NetworkPredictions, names: list[str], images: np.ndarray) -> tuple[str, str]:
    """The tables, and the page."""
    content: dict[str, Any] = {
        "data": "folder",
        "split": "test",
        "images": len(images),
        "class_names": names,
        "checkpoints": [str(folder / "checkpoints" / "best.ckpt")],
        **measured(answer, names),
    }
    pictures.draw(folder, answer, images, names)
    write_page(folder, content, [answer], [folder], images)
    text = tables(content, newest=True, directory=folder, colour=False)
    return text.replace(str(folder), ""), (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("classes", "shape", "wrong"),
    [(2, (1, 8, 8), 0.3), (10, (1, 28, 28), 0.0), pytest.param(100, (3, 32, 32), 0.2, marks=pytest.mark.slow)],
)
def test_any_shape_and_number_of_classes_fit_tables_of_80_columns_and_a_page(
    tmp_path: Path, classes: int, shape: tuple[int, int, int], wrong: float
) -> None:
    names = [f"a class with a long name, number {index} <b>" for index in range(classes)]
    images = np.random.default_rng(0).integers(256, size=(400, *shape), dtype=np.uint8)
    text, page = evaluated(tmp_path, answers(classes, 400, wrong), names, images)
    assert max(map(len, text.splitlines())) <= 80
    HTMLParser().feed(page)
    assert "number 1 <b>" not in page and not re.search(r"(src|href)=.?(https?:|//)", page)
    assert page.count("src=") == page.count('src="data:image/png;base64,') > 0
    assert ("mistakes.png" in {path.name for path in tmp_path.iterdir()}) == (wrong > 0)


@pytest.mark.slow
def test_a_thousand_classes_take_seconds(tmp_path: Path) -> None:
    names = [f"class {index}" for index in range(1000)]
    images = np.zeros((5000, 3, 32, 32), np.uint8)
    began = time.process_time()
    text, _ = evaluated(tmp_path, answers(1000, 5000, 0.3), names, images)
    assert time.process_time() - began < 15  # it takes 4
    assert max(map(len, text.splitlines())) <= 80
    with Image.open(tmp_path / "confusion.png") as picture:
        assert max(picture.size) < 2600


def test_the_page_of_two_networks_names_the_accuracy_of_both_and_tests_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_mlp.extras.evaluation.page.PICTURES", {})
    given = [replace(answers(10, 200, wrong), name=f"network {n}") for n, wrong in ((1, 0.1), (2, 0.4))]
    names, images = [str(digit) for digit in range(10)], np.zeros((200, 1, 8, 8), np.uint8)
    content = {
        "data": "folder",
        "split": "test",
        "images": 200,
        "class_names": names,
        "checkpoints": ["a.ckpt", "b.ckpt"],
        "networks": [measured(answer, names) for answer in given],
        "mcnemar": {"only_first": 61, "only_second": 2, "p_value": 3e-16},
    }
    write_page(tmp_path, content, given, [tmp_path / "1", tmp_path / "2"], images)
    page = (tmp_path / "report.html").read_text()
    right = [float(np.mean(answer.raw.log_probabilities.argmax(axis=1) == answer.raw.labels)) for answer in given]
    assert f"<h1>network 1: {right[0]:.2%} right, network 2: {right[1]:.2%} right</h1>" in page
    assert re.search(r"<p>[^<]*McNemar[^<]*they differ", page)


def test_terminal_and_page_tell_calibrated_losses_from_those_of_the_network(tmp_path: Path) -> None:
    answer = answers(3, 300, 0.03)
    text, page = evaluated(tmp_path, answer, ["a", "b", "c"], np.zeros((300, 1, 8, 8), np.uint8))
    in_page = [re.findall(r"<td[^>]*>([^<]*)", row) for row in re.findall(r"<tr>.*?</tr>", page)]
    for label, temperature in (("network", 1.0), ("at T = 1.250", 1.25)):
        logits = answer.raw.log_probabilities / temperature
        nll = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(300), answer.raw.labels])
        assert [f"{nll:.4f}" in row for row in in_page if row and row[0].strip() == label] == [True]
        assert re.search(rf"^ *{label} .* {nll:.4f} ", text, re.MULTILINE)


def test_page_and_picture_say_alike_how_sure_the_network_was_of_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[str] = []
    monkeypatch.setattr(mistakes_picture_module, "write", lambda picture, word, *place, **align: words.append(word))
    _, page = evaluated(tmp_path, answers(3, 300, 0.03), ["a", "b", "c"], np.zeros((300, 1, 8, 8), np.uint8))
    in_picture = [word for word in words if word.endswith("sure")]
    assert len(set(in_picture)) > 2 and in_picture == re.findall(r"[\d.]+% sure", page)


@pytest.mark.slow
def test_a_page_counts_its_mistakes_truly(tmp_path: Path) -> None:
    names, images = [str(digit) for digit in range(10)], np.zeros((500, 1, 28, 28), np.uint8)
    for wrong, heading in ((0.3, r"The 24 worst of \d+ mistakes"), (0.02, r"All \d+ mistakes"), (0.0, "No mistakes")):
        answer = answers(10, 500, wrong)
        _, page = evaluated(tmp_path, answer, names, images)
        assert re.search(rf"<h2>{heading}</h2>", page)
        mistakes = min(24, int(np.count_nonzero(~answer.calibrated.correct)))
        in_the_page = page.count('src="data:image/png')
        assert in_the_page == page.count("src=") == mistakes + 3  # a matrix and two plots


def test_the_caption_of_a_matrix_of_two_classes_is_whole() -> None:
    def inked_columns(classes: int) -> int:
        picture = confusion_picture(np.eye(classes, dtype=np.int64), [str(number) for number in range(classes)])
        return int((np.asarray(picture.convert("L"))[-12:] < 200).any(axis=0).sum())

    assert inked_columns(2) == inked_columns(10)


def test_the_most_frequent_mistakes_come_first() -> None:
    matrix = [[5, 2, 0], [0, 9, 7], [1, 0, 4]]
    assert confused_pairs(matrix, "abc", 2) == [("b", "c", 7), ("a", "b", 2)]


@pytest.mark.parametrize(
    ("last", "shown"), [("network 6", [1, 2, 3, 4]), ("committee", [1, 2, 3, 6])], ids=["networks", "committee"]
)
def test_of_many_networks_the_first_and_the_committee_are_shown_and_the_others_counted(
    last: str, shown: list[int]
) -> None:
    names = [*(f"network {number}" for number in range(1, 6)), last]
    networks = [{"name": name, "accuracy": number / 10} for number, name in enumerate(names, start=1)]
    rows = [{"name": kind, "networks": networks} for kind in ("unchanged", "noise")]
    _, bars = plots.robustness(np.zeros((2, 3, 1, 28, 28), np.uint8), rows).axes
    assert [text.get_text() for text in bars.get_legend().get_texts()] == [names[number - 1] for number in shown]
    widths = [bar.get_width() for bar in bars.patches[:: len(rows)]]
    assert widths == pytest.approx([number / 10 for number in shown])
    assert bars.get_title() == "accuracy (2 more networks: metrics.json)"


def test_the_table_of_corruptions_shows_the_first_networks_and_counts_the_others(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    networks = [measured(replace(answers(3, 60, 0.1), name=f"network {number}"), names) for number in range(1, 7)]
    row = {"name": "blurred", "networks": [{"accuracy": number / 10} for number in range(1, 7)]}
    content = {"data": "folder", "split": "test", "images": 60, "class_names": names}
    content |= {"checkpoints": ["it.ckpt"] * 6, "networks": networks, "robust": [row]}
    text = tables(content, newest=False, directory=tmp_path, colour=False)
    header, cells = (line.split() for line in text[text.index("accuracy on") :].splitlines()[:2])
    assert " ".join(header).removeprefix("accuracy on ").split("network ")[1:] == ["1 ", "2 ", "3 ", "4 ", "5"]
    assert cells == ["blurred", "10.00%", "20.00%", "30.00%", "40.00%", "50.00%"]
    assert "\n\n1 more network: metrics.json\n" in text


def test_the_risk_coverage_curve_never_falls() -> None:
    """The error at single thresholds falls after each mistake, in an arc; the least error at some coverage does not."""
    (axes,) = plots.risk_coverage_curve(answers(10, 500, 0.1).calibrated).axes
    error = axes.lines[0].get_ydata()
    assert len(error) > 10 and (np.diff(error) >= 0).all()


def test_a_confusion_matrix_is_blue_on_its_diagonal_and_red_beside_it() -> None:
    counts = np.diag(np.full(10, 50))
    counts[3, 5] = 5
    names = [str(digit) for digit in range(10)]
    picture = np.asarray(confusion_picture(counts, names)).astype(int)
    margin, cell = 25, 32
    corner = picture[margin + 3 :: cell, margin + 3 :: cell][:10, :10]  # a pixel of each cell, off its number
    assert (corner[range(10), range(10), 2] > corner[range(10), range(10), 0]).all()
    assert corner[3, 5, 0] > corner[3, 5, 2]
    assert (corner[0, 1] == 255).all()


def test_long_names_stand_beside_the_cells_and_not_on_them() -> None:
    names = [f"a long name {number}" for number in range(10)]
    drawn = np.asarray(confusion_picture(np.zeros((10, 10), dtype=np.int64), names))
    margin, cell = 18 + 7 * len(names[0]), 32
    ink = drawn.min(axis=2) < 128
    assert not ink[margin : margin + 10 * cell, margin : margin + 10 * cell].any()
    for number in range(10):
        place = slice(margin + cell * number, margin + cell * (number + 1))
        along_row, along_column = ink[place, :margin], ink[:margin, place]
        assert np.ptp(np.nonzero(along_row)[1]) > 40, "a name of a row lies"
        assert np.ptp(np.nonzero(along_column)[0]) > 40, "a name of a column stands"


def test_names_of_neighbouring_columns_do_not_touch() -> None:
    names = [str(number) for number in range(120)]  # every third one is written
    drawn = np.asarray(confusion_picture(np.zeros((120, 120), dtype=np.int64), names))
    margin, step = 18 + 7 * 3, 15
    ink = (drawn[:margin, margin:].min(axis=2) < 200).any(axis=0)
    assert ink[2::step][:40].all() and not ink[2 + step // 2 :: step].any()


def test_a_confusion_matrix_of_many_classes_has_each_cell_at_its_place() -> None:
    answer = answers(200, 4000, 0.3)
    counts = confusion(answer.raw)
    picture = np.asarray(confusion_picture(counts, [str(index) for index in range(200)])).astype(int)
    margin, cell = 18 + 7 * 3, 3
    cells = picture[margin + 1 :: cell, margin + 1 :: cell][:200, :200]
    assert ((cells != 255).any(axis=2) == (counts > 0)).all()


def test_a_picture_has_the_pixels_of_the_image() -> None:
    colours = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    np.testing.assert_array_equal(np.asarray(as_picture(colours)), colours.transpose(1, 2, 0))
    np.testing.assert_array_equal(np.asarray(as_picture(colours[:1])), colours[0])


def test_mistakes_are_shown_as_many_as_there_are_also_with_long_names() -> None:
    images = np.zeros((7, 1, 28, 28), dtype=np.uint8)
    picture = mistakes_picture(images, ["T-shirt or top"] * 7, ["Ankle boot"] * 7, [0.5] * 7)
    assert picture.size == (348, 408)
