"""From pictures to answers: numbers, doubts, blanks and errors, and how they are reported."""

import csv
import io
import json
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from extras.handwriting.drawings import write
from helpers import untrained_network as untrained
from PIL import Image

from mnist_mlp.config.errors import CheckpointError
from mnist_mlp.extras.handwriting import reader as reader_module
from mnist_mlp.extras.handwriting.connected_components import Box
from mnist_mlp.extras.handwriting.output import shown, write_csv, write_json, write_table
from mnist_mlp.extras.handwriting.plots import draw
from mnist_mlp.extras.handwriting.reader import Guess, Reader, Reading
from mnist_mlp.extras.handwriting.segmentation import find_digits
from mnist_mlp.extras.inference.ood_detector import OodDetector
from mnist_mlp.extras.inference.predictor import Calibration, Predictor


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return untrained.predictor(tmp_path_factory.mktemp("untrained"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write("4071", np.random.default_rng(0)).save(folder / "number.png")
    write("8", np.random.default_rng(1)).save(folder / "eight.png")
    Image.new("L", (40, 30), 250).save(folder / "blank.png")
    (folder / "broken.png").write_bytes(b"")
    return folder


FILES = ("number.png", "blank.png", "broken.png", "eight.png")


def read(predictor: Predictor, folder: Path, **calibration: float) -> list[Reading]:
    predictor = replace(predictor, calibration=Calibration(**calibration))
    return list(Reader(predictor).read([folder / name for name in FILES]))


def test_each_file_is_answered_with_what_the_network_says_of_its_digits(predictor, folder):
    number, blank, broken, eight = read(predictor, folder)
    assert [r.file.name for r in (number, blank, broken, eight)] == list(FILES)
    assert [r.status for r in (number, blank, broken, eight)] == ["ok", "blank", "error", "ok"]
    found = find_digits(np.asarray(Image.open(number.file)))
    expected = predictor.log_probabilities(torch.from_numpy(np.stack([d.image for d in found]))).exp()
    assert number.text == "".join(str(int(c)) for c in expected.argmax(1))
    for guess, row, digit in zip(number.guesses, expected, found, strict=True):
        best, second = row.topk(2).values.tolist()
        assert guess.box == digit.box
        assert (guess.probability, guess.second_probability) == pytest.approx((best, second), rel=1e-5)
    assert blank.text == "" and not blank.guesses and blank.message == "no digit found"
    assert broken.message == "empty file"


def test_files_in_small_groups_are_answered_alike(predictor, folder, monkeypatch):
    together = read(predictor, folder)
    monkeypatch.setattr(reader_module, "AT_ONCE", 1)
    for one, other in zip(together, read(predictor, folder), strict=True):
        assert (one.file, one.status, one.text) == (other.file, other.status, other.text)
        for a, b in zip(one.guesses, other.guesses, strict=True):
            assert a.box == b.box and a.probabilities == pytest.approx(b.probabilities, rel=1e-4)


def test_below_the_threshold_it_says_so_instead_of_guessing(predictor, folder):
    sure = read(predictor, folder)[0]
    probabilities = sorted(guess.probability for guess in sure.guesses)
    unsure = read(predictor, folder, number_threshold=np.prod(probabilities[1:]) * 0.999)[0]
    assert unsure.status == "unsure" and unsure.text.count("?") == 1
    assert unsure.guess == sure.text and unsure.marked.replace("(", "").replace(")", "") == sure.text
    assert unsure.marked[unsure.text.index("?")] == "("
    place = unsure.text.index("?")
    assert unsure.least_sure is unsure.guesses[place]
    assert unsure.message == f"digit no. {place + 1} could be another digit"
    assert read(predictor, folder, number_threshold=1.1)[3].message == "could be another digit"  # the only one


def test_what_does_not_look_like_a_digit_is_refused_however_sure_the_network_is(predictor, folder):
    energies = predictor.ood_score(torch.from_numpy(np.stack([g.image for g in read(predictor, folder)[0].guesses])))
    unsure = read(predictor, folder, free_energy=float(energies.sort().values[1]) + 1e-4)[0]
    assert unsure.text.count("?") == 2
    assert unsure.message is not None and unsure.message.endswith("does not look like a digit (and 1 more)")


def test_what_the_ood_detector_scores_above_its_limit_is_refused(predictor, folder):
    images = torch.from_numpy(np.stack([guess.image for guess in read(predictor, folder)[0].guesses]))
    torch.manual_seed(0)
    detecting = replace(predictor, ood_detector=OodDetector(sum(predictor.config.model.hidden) + 10))
    scores = detecting.ood_score(images)
    detecting.ood_detector.lower(by=float(scores.sort().values[1:3].mean()))
    assert [digit == "?" for digit in read(detecting, folder)[0].text] == (scores > scores.median()).tolist()


def test_a_network_for_other_things_than_digits_is_refused(predictor):
    with pytest.raises(CheckpointError, match="expected a network trained on digits, got one for shirt"):
        Reader(replace(predictor, class_names=["shirt", "bag"]))


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 32)])
def test_a_network_for_images_of_another_shape_is_refused(predictor, shape):
    network = deepcopy(predictor.network)
    network.image_shape = shape
    with pytest.raises(CheckpointError, match="expected a network for grey images of 28 x 28"):
        Reader(replace(predictor, network=network))


@pytest.mark.parametrize("grey", [np.uint16, np.int32, np.float32])
def test_a_large_picture_of_any_depth_is_drawn(predictor, tmp_path, grey):
    levels = np.asarray(write("8", np.random.default_rng(1)).resize((2_000, 2_000))).astype(grey) * 257
    Image.fromarray(levels).save(tmp_path / "deep.tiff")
    draw(list(Reader(predictor).read([tmp_path / "deep.tiff"])), tmp_path / "out.png")
    answered = np.asarray(Image.open(tmp_path / "out.png").convert("L"))[20:190, 20:200]
    assert answered.max() > 200 and 0.01 < (answered < 100).mean() < 0.5


def test_a_long_strip_of_paper_is_drawn_as_wide_as_its_cell(predictor, tmp_path):
    strip = Image.new("L", (1_000, 80), 150)
    strip.paste(write("8", np.random.default_rng(1)).resize((80, 80)), (0, 0))
    strip.save(tmp_path / "strip.png")
    draw(list(Reader(predictor).read([tmp_path / "strip.png"])), tmp_path / "out.png")
    grey = np.abs(np.asarray(Image.open(tmp_path / "out.png").convert("L"), int) - 150) < 5
    assert grey.any(0).sum() > 500 and grey.any(1).sum() > 40


def test_json_has_one_object_for_each_file(predictor, folder):
    out = io.StringIO()
    write_json(iter(read(predictor, folder)), out)
    number, blank, broken, _ = json.loads(out.getvalue())
    assert number.keys() == {"file", "status", "text", "guess", "message", "digits"}
    assert number["digits"][0].keys() == {"digit", "probability", "second", "second_probability", "box"}
    assert number["text"] == "".join(str(d["digit"]) for d in number["digits"]) and len(number["digits"]) == 4
    assert number["guess"] == number["text"] and blank["guess"] == ""
    assert blank["digits"] == [] and broken["status"] == "error"
    empty = io.StringIO()
    write_json(iter([]), empty)
    assert json.loads(empty.getvalue()) == []


def test_csv_has_one_line_for_each_file(predictor, folder):
    out = io.StringIO()
    write_csv(iter(read(predictor, folder)), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["status"] for row in rows] == ["ok", "blank", "error", "ok"]
    assert float(rows[0]["probability"]) == pytest.approx(
        min(g.probability for g in read(predictor, folder)[0].guesses), abs=1e-4
    )


def test_the_table_has_one_line_for_each_file_whatever_its_name(predictor, folder):
    readings = [replace(r, file=Path(f"a\nb\x1b[2J{n}" + "x" * 100)) for n, r in enumerate(read(predictor, folder))]
    out = io.StringIO()
    write_table(iter(readings), out, [reading.file for reading in readings])
    assert len(out.getvalue().splitlines()) == 5 and out.getvalue().isprintable() is False
    assert "\x1b" not in out.getvalue()
    assert shown(Path("é\ud800")) == "é\\ud800"


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_shows_every_file_that_has_digits_and_seven_fit_on_a_screen(predictor, folder, tmp_path, suffix):
    readings = [r for r in read(predictor, folder, threshold=0.99) if r.guesses]
    if suffix == ".png":
        draw([*readings, *readings, *readings, readings[0]], tmp_path / "out.png")
        pixels = np.asarray(Image.open(tmp_path / "out.png").convert("L"))
        assert pixels.shape[0] <= 900 and pixels.shape[1] <= 1300
        cells = [pixels[215 * row : 215 * (row + 1), 640 * column :][:, :640] for row in range(4) for column in (0, 1)]
        assert [bool((cell < 128).mean() > 0.02) for cell in cells] == [True] * 7 + [False]
    else:
        draw(readings, tmp_path / "out.svg")
        assert (tmp_path / "out.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("size", [(90, 30), (900, 30)])
def test_a_cell_of_many_digits_in_doubt_is_readable_and_says_how_many_it_leaves_out(tmp_path, size):
    Image.new("L", size, 255).save(tmp_path / "sheet.png")
    guesses = [
        Guess(image=np.zeros((28, 28), np.uint8), probabilities=np.eye(10)[n % 10], box=Box(n, 5, n + 1, 9), doubt="?")
        for n in range(90)
    ]
    message = "digit no. 90 does not look like a digit (and 89 more)"
    reading = Reading(file=tmp_path / "sheet.png", status="unsure", message=message, guesses=guesses)
    draw([reading], tmp_path / "out.svg")
    svg = (tmp_path / "out.svg").read_text()
    lines = re.findall(r"<!-- (.*?) -->", svg)  # before the shapes of its letters
    sizes = [100 * float(scale) for scale in re.findall(r"scale\(([\d.]+) -", svg)]
    assert f"unsure: {message}" in lines and any(
        line.endswith("sheet.png: the first 24 of 90 digits") for line in lines
    )
    assert lines[:2] == ["(0)(1)(2)(3)(4)(5)(6)(7)(8)(9)(0)(1)", "(2)(3)(4)(5)(6)(7)(8)(9)(0)(1)(2)(3)"]
    assert min(sizes) > 7  # points
