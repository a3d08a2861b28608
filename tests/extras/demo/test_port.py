"""The page's preprocessing and network, in JavaScript, against Python's: run by node, which needs no browser."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import vectors
from extras.handwriting.drawings import write
from helpers import untrained_network as untrained
from helpers.data_sets import synthetic
from PIL import Image

from mnist_mlp.config.errors import ExportError
from mnist_mlp.config.schema import ACTIVATION_NAMES
from mnist_mlp.extras.demo import build as building
from mnist_mlp.extras.demo import description as describing
from mnist_mlp.extras.handwriting.mnist_format import widening
from mnist_mlp.extras.handwriting.reader import Reader, accept_or_doubt
from mnist_mlp.extras.inference.decision import NO_DIGIT, OTHER_DIGIT, ScoredDigit, doubts
from mnist_mlp.extras.inference.ood_detector import OodDetector

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not on PATH")


def run(tmp_path, **given):
    (tmp_path / "given.json").write_text(json.dumps(given))
    words = [NODE, str(Path(__file__).with_name("port.mjs")), str(tmp_path / "given.json")]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def digits():
    return synthetic()


def description(predictor, digits):
    html = building.build(predictor, digits).html
    return json.loads(html.split('<script type="application/json" id="network">')[1].split("</script>")[0])


@pytest.mark.slow
def test_200_pictures_give_the_same_digits_to_one_grey_level_and_the_same_answers(tmp_path, digits):
    """Touching digits too: the halves of a wide piece, and whether it is read as one digit or as two."""
    pictures = list(vectors.pictures(200))
    predictor = untrained.predictor(tmp_path, number_threshold=0.7)
    found = [vectors.found_in(picture) for picture in pictures]
    scores = predictor.ood_score(torch.from_numpy(np.stack([digit.image for pieces in found for digit in pieces])))
    limit = float(scores.quantile(0.5))
    predictor = replace(predictor, calibration=replace(predictor.calibration, free_energy=limit, number_margin=0.5))
    given = [vectors.picture_json(picture) for picture in pictures]
    got = run(tmp_path, pictures=given, networks=[description(predictor, digits)])
    expected = [[vectors.digit_json(digit) for digit in pieces] for pieces in found]
    assert sum(map(len, expected)) > 200  # some hold several
    assert sum(bool(digit["halves"]) for pieces in expected for digit in pieces) > 10
    for number, (ours, theirs) in enumerate(zip(expected, got["digits"], strict=True)):
        for one, other in zip(ours, theirs, strict=True):
            assert one["box"] == other["box"], number
            assert np.abs(np.subtract(one["image"], other["image"])).max() <= 1, number
            for half, its in zip(one["halves"], other["halves"], strict=True):
                # The last bit of an ink may lead a cut around the other side of a pixel.
                assert np.abs(np.subtract(half["box"], its["box"])).max() <= 1, number
                assert np.abs(np.subtract(half["image"], its["image"])).mean() < 1, number
    candidates = [Reader(predictor).candidates(pieces) for pieces in found]
    guesses = [accept_or_doubt(some, predictor.ood_limit, predictor.calibration) for some in candidates]
    readings = [[[guess.digit, guess.doubt is None] for guess in some] for some in guesses]
    assert sum(len(reading) > len(pieces) for reading, pieces in zip(readings, found, strict=True)) > 5
    same = [ours == theirs for ours, theirs in zip(readings, got["readings"], strict=True)]
    assert sum(same) >= len(same) - 2  # a grey level's difference may turn what is on the very edge of an answer


@pytest.mark.slow
def test_a_number_in_narrow_handwriting_is_widened_alike(tmp_path):
    sheets = [write("20368953", np.random.default_rng(seed), height=100) for seed in range(8, 13)]
    pictures = [sheet.resize((int(0.7 * sheet.width), sheet.height)).convert("RGBA") for sheet in sheets]
    got = run(tmp_path, pictures=[vectors.picture_json(picture) for picture in pictures])["digits"]
    for ours, theirs in zip(map(vectors.found_in, pictures), got, strict=True):
        assert widening([digit.box for digit in ours]) > 1.2
        for one, other in zip(ours, theirs, strict=True):
            assert np.abs(np.subtract(one.image.ravel(), other["image"], dtype=int)).max() <= 1


@pytest.mark.slow
def test_a_picture_with_more_pieces_than_a_function_takes_arguments_is_read(tmp_path):
    dots = np.full((1_000, 1_000), 255, np.uint8)
    dots[20:-20:2, 20:-20:3] = 0
    picture = Image.fromarray(dots).convert("RGBA")
    (got,) = run(tmp_path, pictures=[vectors.picture_json(picture)])["digits"]
    assert [digit["box"] for digit in got] == [[*vars(digit.box).values()] for digit in vectors.found_in(picture)]


@pytest.mark.slow
def test_every_activation_gives_the_probabilities_and_hidden_values_of_torch(tmp_path, digits):
    predictors = [
        untrained.predictor(tmp_path, f"model.activation={activation}", temperature=1.7)
        for activation in ACTIVATION_NAMES
    ]
    predictors.append(untrained.predictor(tmp_path, "model.hidden=[]", "data.mean=0.5", "data.std=0.25"))
    images = digits.test_images[:20, 0]
    flat = images.reshape(20, -1).tolist()
    answers = run(tmp_path, networks=[description(each, digits) for each in predictors], images=flat)["answers"]
    for predictor, got in zip(predictors, answers, strict=True):
        expected = predictor.log_probabilities(torch.from_numpy(images)).exp().numpy()
        assert np.abs(expected - [answer["probabilities"] for answer in got]).max() < 1e-4
        if predictor.config.model.hidden:
            hidden = predictor.network.layers[:2](predictor.network.normalise(torch.from_numpy(images)))
            assert np.abs(hidden.detach().numpy() - [answer["hidden"][0] for answer in got]).max() < 1e-3


@pytest.mark.slow
def test_what_is_no_answer_for_python_is_none_on_the_page(tmp_path, digits):
    """Too high a free energy, or too low a probability: each for a half of the images."""

    def between_halves(values):
        return float(values.sort().values[49:51].mean())

    predictor = untrained.predictor(tmp_path, temperature=1.7)
    images = torch.from_numpy(digits.test_images[:100])
    energies, best = predictor.ood_score(images), predictor.log_probabilities(images).exp().amax(1)
    limits = replace(predictor.calibration, number_threshold=between_halves(best), free_energy=between_halves(energies))
    given = [description(replace(predictor, calibration=limits), digits)]
    (got,) = run(tmp_path, networks=given, images=images.flatten(1).tolist())["answers"]
    known, sure = energies <= limits.free_energy, best >= limits.number_threshold
    assert 0 < int((known & sure).sum()) < int(known.sum()) == 50
    assert [answer["inDistribution"] for answer in got] == known.tolist()
    assert [answer["isSure"] for answer in got] == (known & sure).tolist()


def test_a_number_is_in_doubt_on_the_page_where_it_is_for_python(tmp_path, digits):
    predictor = untrained.predictor(tmp_path)
    images = torch.from_numpy(digits.test_images[:30])
    scores, best = predictor.ood_score(images), predictor.log_probabilities(images).exp().amax(1)
    limits = replace(
        predictor.calibration,
        number_threshold=float(best.sort(descending=True).values[:12].prod()) * 0.999,
        free_energy=float(scores.quantile(0.5)),
        number_margin=float(scores.quantile(0.8) - scores.quantile(0.5)),
    )
    predictor = replace(predictor, calibration=limits)
    given = {"networks": [description(predictor, digits)], "images": images.flatten(1).tolist(), "together": True}
    (got,) = run(tmp_path, **given)["answers"]
    judged = [
        ScoredDigit(probability, score) for probability, score in zip(best.tolist(), scores.tolist(), strict=True)
    ]
    expected = doubts(judged, predictor.ood_limit, limits)
    assert {None, NO_DIGIT, OTHER_DIGIT} == set(expected)
    assert [answer["isSure"] for answer in got] == [doubt is None for doubt in expected]
    assert [answer["inDistribution"] for answer in got] == [doubt != NO_DIGIT for doubt in expected]


@pytest.mark.parametrize("hidden", ["[12,7]", "[]"])
def test_what_the_ood_detector_refuses_is_refused_on_the_page(hidden, tmp_path, digits):
    predictor = untrained.predictor(tmp_path, f"model.hidden={hidden}")
    torch.manual_seed(0)
    predictor = replace(predictor, ood_detector=OodDetector(10 + sum(predictor.config.model.hidden)))
    images = torch.from_numpy(digits.test_images[:100])
    predictor.ood_detector.lower(by=float(predictor.ood_score(images).sort().values[49:51].mean()))
    (got,) = run(tmp_path, networks=[description(predictor, digits)], images=images.flatten(1).tolist())["answers"]
    known = predictor.ood_score(images) <= predictor.ood_limit
    assert 0 < int(known.sum()) < 100
    assert [answer["inDistribution"] for answer in got] == known.tolist()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_evidence_of_all_pixels_adds_up_to_the_log_odds_gained(activation, tmp_path, digits):
    """Against torch: the difference of log p / (1 - p) between an image and the average one."""
    predictor = untrained.predictor(tmp_path, f"model.activation={activation}", temperature=2.0)
    average = digits.test_images[:, 0].mean(0).round().astype(np.uint8)
    images = np.concatenate([digits.test_images[:20, 0], average[None]])
    given = description(predictor, digits)
    (got,) = run(tmp_path, networks=[given], images=images.reshape(len(images), -1).tolist())["answers"]
    odds = torch.logit(predictor.log_probabilities(torch.from_numpy(images)).exp().double())[:, 3].numpy()
    gained = np.array([sum(answer["evidence"]) for answer in got])
    assert np.abs(odds - odds[-1]).max() > 1
    assert gained == pytest.approx(odds - odds[-1], abs=0.05)  # the steps of a sum in place of an integral


def test_a_page_that_would_answer_otherwise_is_refused(tmp_path, digits, monkeypatch):
    """With float16, the usual choice."""
    exact = describing._upper_bytes
    monkeypatch.setattr(describing, "_upper_bytes", lambda values: exact(values.half().float()))
    with pytest.raises(ExportError, match=r"the network's probabilities to 0\.0001, got"):
        building.build(untrained.predictor(tmp_path), digits)


@pytest.mark.parametrize(
    ("best", "known", "sure", "words"),
    [
        (0.96, True, True, "It says 7 (96.0 %)."),
        (0.96, True, False, "Almost sure: 7 (96.0 %)."),
        (0.9, True, False, "Almost sure: 7 (90.0 %)."),
        (0.89, True, False, "Not sure: 7 (89.0 %) or 1 (4.0 %)."),
        (0.99, False, False, "Not a digit; closest: 7."),
    ],
)
def test_an_answer_is_put_into_words_by_how_sure_it_is(best, known, sure, words, tmp_path):
    wording = Path(building.__file__).with_name("wording.mjs").as_uri()
    probabilities = [0.0, 0.04, *[0.0] * 5, best, 0.0, 0.0]
    answer = json.dumps({"probabilities": probabilities, "inDistribution": known, "isSure": sure})
    (tmp_path / "words.mjs").write_text(
        f'import {{ sentence }} from "{wording}";\nprocess.stdout.write(sentence({answer}, [..."0123456789"]));'
    )
    done = subprocess.run([NODE, str(tmp_path / "words.mjs")], check=True, capture_output=True, text=True)
    assert done.stdout == words
