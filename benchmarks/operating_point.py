"""What the limits of the rule of doubt cost and give: pictures answered right, wrong, or accepted though no digits.

`PYTHONPATH=src python benchmarks/operating_point.py RUN [RUN ...]` makes single digits, numbers and pictures without a
digit, reads each once through the whole way of `predict.py`, and decides anew for each choice of limits. The counts of
several runs are added up. The digits are those of validation, drawn with other pens and pasted as `handwriting.py`
does, or drawn by the pen of the tests. What is no digit is made of validation digits, scribbled, or a sign;
`handwriting.py` measures printed letters and clothes, so they are not among them.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import report
import torch
from handwriting import KINDS, blank, drawings, noise, picture_of
from numpy.random import Generator
from PIL import Image
from torch import Tensor

from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.loader import Part
from mnist_mlp.extras.calibration import synthetic_outliers as outliers
from mnist_mlp.extras.calibration.pens import with_other_pens
from mnist_mlp.extras.handwriting.picture import read_picture
from mnist_mlp.extras.handwriting.reader import Candidate, Reader, accept_or_doubt
from mnist_mlp.extras.handwriting.segmentation import Digit, find_digits
from mnist_mlp.extras.inference.predictor import Calibration, Predictor

# The limits to choose from; those in use are in calibration/ood_training.py.
SURE = (0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
ALONE = (0.94, 0.95, 0.955, 0.96, 0.965, 0.97, 0.975, 0.98)
BESIDE_OTHERS = (0.99, 0.995, 0.999)
MOST_WRONG = 0.01  # of the answers to digits
AS_GOOD = 0.998  # of the most right answers: among these limits the fewest wrong answers decide

# Signs that are no digits and no letters, as strokes through points x, y in a box one high, like drawings.STYLES.
SIGNS: list[dict[str, list[drawings.Stroke]]] = [
    {
        "tick": [[(0.0, 0.6), (0.2, 0.95), (0.3, 0.7), (0.6, 0.0)]],
        "cross": [[(0.0, 0.1), (0.35, 0.5), (0.7, 0.9)], [(0.7, 0.1), (0.35, 0.5), (0.0, 0.9)]],
        "plus": [[(0.35, 0.1), (0.36, 0.5), (0.35, 0.9)], [(0.0, 0.5), (0.35, 0.5), (0.7, 0.5)]],
        "up": [[(0.35, 1.0), (0.35, 0.5), (0.35, 0.0)], [(0.1, 0.3), (0.35, 0.0)], [(0.35, 0.0), (0.6, 0.3)]],
        "right": [[(0.0, 0.5), (0.4, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.8, 0.5)], [(0.8, 0.5), (0.5, 0.8)]],
        "triangle": [[(0.4, 0.0), (0.8, 0.9)], [(0.8, 0.9), (0.0, 0.9)], [(0.0, 0.9), (0.4, 0.0)]],
        "house": [
            [(0.0, 1.0), (0.0, 0.4)],
            [(0.0, 0.4), (0.35, 0.0)],
            [(0.35, 0.0), (0.7, 0.4)],
            [(0.7, 0.4), (0.7, 1.0)],
            [(0.7, 1.0), (0.0, 1.0)],
        ],
        "heart": [
            [(0.4, 0.25), (0.2, 0.02), (0.0, 0.25), (0.4, 0.95)],
            [(0.4, 0.25), (0.6, 0.02), (0.8, 0.25), (0.4, 0.95)],
        ],
        "wave": [[(0.0, 0.5), (0.15, 0.2), (0.35, 0.5), (0.55, 0.8), (0.75, 0.5), (0.95, 0.2)]],
        "lightning": [[(0.4, 0.0), (0.1, 0.5)], [(0.1, 0.5), (0.5, 0.5)], [(0.5, 0.5), (0.2, 1.0)]],
        "hash": [
            [(0.25, 0.0), (0.2, 1.0)],
            [(0.55, 0.0), (0.5, 1.0)],
            [(0.0, 0.35), (0.8, 0.33)],
            [(0.0, 0.68), (0.8, 0.66)],
        ],
        "spiral": [
            [(0.4, 0.5), (0.5, 0.4), (0.6, 0.55), (0.4, 0.72), (0.2, 0.5), (0.4, 0.2), (0.8, 0.45), (0.5, 0.95)],
        ],
        "face": [
            [(0.4, 0.0), (0.0, 0.5), (0.4, 1.0), (0.8, 0.5), (0.4, 0.0)],
            [(0.28, 0.3), (0.28, 0.4)],
            [(0.52, 0.3), (0.52, 0.4)],
            [(0.2, 0.6), (0.4, 0.78), (0.6, 0.6)],
        ],
        "fork": [
            [(0.0, 0.0), (0.1, 0.4), (0.35, 0.5)],
            [(0.7, 0.0), (0.6, 0.4), (0.35, 0.5)],
            [(0.35, 0.0), (0.35, 1.0)],
        ],
    }
]


class Made(NamedTuple):
    picture: Image.Image
    label: str
    """Its digits; empty where there are none."""


class Seen(NamedTuple):
    """What one network makes of all pictures, before any decision."""

    predictor: Predictor
    pictures: list[tuple[str, list[Candidate]]]
    """Their labels, and the pieces of ink in each."""
    validation: np.ndarray
    """Out-of-distribution scores of the validation images; their quantiles are the limits."""


def pasted(images: Tensor, labels: Tensor, number: int, most: int, rng: Generator) -> Iterator[Made]:
    """Rows of 1, or 2 to `most`, of the digits `(N, 28, 28)`, each row damaged in one of the ways of KINDS."""
    for done in itertools.islice(itertools.cycle(KINDS.values()), number):
        chosen = rng.integers(len(images), size=1 if most == 1 else rng.integers(2, most + 1))
        parts: list[np.ndarray] = []
        for digit in images[chosen].numpy():
            columns = np.flatnonzero(digit.max(0) > outliers.FAINTEST)
            gap = np.zeros((outliers.SIDE, int(rng.integers(3, 9))), np.uint8)
            parts += [digit[:, columns[0] : columns[-1] + 1], gap] if most > 1 else [digit]
        row = np.concatenate(parts, axis=1)
        above = row.shape[1] // 8 if most > 1 else 0  # so that a turned row stays inside
        yield Made(
            picture_of(np.pad(row, ((above, above), (0, 0))), done, rng), "".join(map(str, labels[chosen].tolist()))
        )


def drawn(number: int, least: int, most: int, rng: Generator) -> Iterator[Made]:
    """Numbers of `least` to `most` digits by the pen of the tests: a quarter of them scans, the others photographs."""
    for turn in range(number):
        text = "".join(map(str, rng.integers(0, 10, rng.integers(least, most + 1))))
        sheet = drawings.write(text, rng, height=rng.uniform(25, 110), pen=rng.uniform(0.05, 0.15))
        yield Made(sheet if turn % 4 == 0 else photographed(sheet, turn, rng), text)


def photographed(sheet: Image.Image, turn: int, rng: Generator) -> Image.Image:
    return drawings.photograph(sheet, rng, side=int(rng.uniform(200, 800)), desk=turn % 2 == 0)


def no_digits(images: Tensor, labels: Tensor, number: int, rng: Generator) -> Iterator[Made]:
    """So many of each kind: mixed digits, scribbles and blots on damaged pages, signs, blank pages and noise."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    pool = images.float()
    some = pool[torch.randperm(len(pool), generator=generator)[: 2 * number]]
    made = [mix(pool, labels, number, generator) for mix in (outliers.halves, outliers.overlays)]
    made += [outliers.quarters(some[:number], generator), outliers.parts(some[number:], generator)]
    made += [outliers.strokes(2 * number, generator), outliers.blots(number, generator)]
    for image, done in zip(outliers.normalised(torch.cat(made)), itertools.cycle(KINDS.values())):
        yield Made(picture_of(image.numpy(), done, rng), "")
    for turn, name in enumerate(itertools.islice(itertools.cycle(SIGNS[0]), 2 * number)):
        sheet = drawings.write([name], rng, height=rng.uniform(25, 110), pen=rng.uniform(0.05, 0.15), styles=SIGNS)
        yield Made(sheet if turn % 4 == 0 else photographed(sheet, turn, rng), "")
    for page in itertools.chain(blank(rng, number // 2), noise(rng, number // 2)):
        yield Made(page, "")


def pictures(val: Part, seed: int) -> Iterator[Made]:
    rng = np.random.default_rng(seed)
    images, labels = val[0].squeeze(1), val[1]
    order = torch.from_numpy(rng.permutation(len(images)))  # each pen gets a quarter of all the classes
    images = with_other_pens(images[order], torch.Generator().manual_seed(seed))
    labels = labels[order]
    yield from pasted(images, labels, 600, 1, rng)
    yield from drawn(400, 1, 1, rng)
    yield from pasted(images, labels, 200, 6, rng)
    yield from drawn(120, 2, 6, rng)
    for turn in range(60):
        page, text, *_ = drawings.on_lines(rng, squared=turn % 2 == 0) if turn % 3 else drawings.beside_a_shadow(rng)
        yield Made(page, text)
    yield from no_digits(images, labels, 70, rng)


def pieces_in(picture: Image.Image, folder: Path) -> list[Digit]:
    """By way of a file, as people have them."""
    jpeg = picture.format == "JPEG"
    file = folder / ("picture.jpg" if jpeg else "picture.png")
    picture.save(file, **({"quality": "keep"} if jpeg else {"compress_level": 1}))
    return find_digits(read_picture(file).grey)


def seen_by(predictor: Predictor, made: list[tuple[str, list[Digit]]], val: Part) -> Seen:
    candidates = iter(Reader(predictor).candidates([piece for _, pieces in made for piece in pieces]))
    pictures = [(label, [next(candidates) for _ in pieces]) for label, pieces in made]
    return Seen(predictor, pictures, predictor.ood_score(val[0]).double().numpy())


def with_limits(seen: Seen, sure: float, alone: float, beside_others: float) -> Counter[str]:
    limit, others = np.quantile(seen.validation, (alone, max(alone, beside_others))).tolist()
    calibration = replace(seen.predictor.calibration, number_threshold=sure, number_margin=others - limit)
    return counted(seen, limit, calibration)


def counted(seen: Seen, limit: float, calibration: Calibration) -> Counter[str]:
    """Pictures of each kind that are answered, by "kind right" and "kind wrong"."""
    counts: Counter[str] = Counter()
    for label, candidates in seen.pictures:
        guesses = accept_or_doubt(candidates, limit, calibration)
        if guesses and all(guess.doubt is None for guess in guesses):
            is_right = label == "".join(str(guess.digit) for guess in guesses)
            counts[f"{kind(label)} {'right' if is_right else 'wrong'}"] += 1
    return counts


def kind(label: str) -> str:
    return "no digit" if not label else "single" if len(label) == 1 else "number"


def right(counts: Counter[str]) -> int:
    return counts["single right"] + counts["number right"]


def share_wrong(counts: Counter[str]) -> float:
    wrong = counts["single wrong"] + counts["number wrong"]
    return wrong / max(wrong + right(counts), 1)


def row(limits: tuple[object, ...], counts: Counter[str]) -> tuple[object, ...]:
    parts = [counts[f"{of} {how}"] for of in ("single", "number") for how in ("right", "wrong")]
    return (*limits, *parts, f"{share_wrong(counts):.2%}", counts["no digit wrong"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="run directories or checkpoints of one recipe"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the pictures, 2,078 for each")
    options = parser.parse_args()
    predictors = [Predictor.load(run) for run in options.runs]
    data = DigitsDataModule(predictors[0].config)
    data.setup()
    val = data.parts["val"]
    with tempfile.TemporaryDirectory() as folder:
        made = [(label, pieces_in(page, Path(folder))) for seed in options.seeds for page, label in pictures(val, seed)]
    networks = [seen_by(predictor, made, val) for predictor in predictors]
    stored = sum((counted(seen, seen.predictor.ood_limit, seen.predictor.calibration) for seen in networks), Counter())
    grid = {
        limits: sum((with_limits(seen, *limits) for seen in networks), Counter[str]())
        for limits in itertools.product(SURE, ALONE, BESIDE_OTHERS)
    }
    allowed = {
        limits: counts
        for limits, counts in grid.items()
        if share_wrong(counts) <= MOST_WRONG and counts["no digit wrong"] <= stored["no digit wrong"]
    }
    most = max(map(right, allowed.values()), default=0)
    as_good = [limits for limits, counts in allowed.items() if right(counts) >= AS_GOOD * most]
    best = min(as_good, key=lambda limits: share_wrong(allowed[limits]), default=())
    rows = [row(("as stored", "", ""), stored)]
    rows += [row((f"{sure:.0%}", f"{alone:.1%}", f"{others:.1%}"), c) for (sure, alone, others), c in grid.items()]
    head = ("sure", "alone", "beside others", "singles right", "wrong", "numbers right", "wrong", "of answers wrong")
    of = Counter(kind(label) for label, _ in made)
    print(
        f"{of['single']} single digits, {of['number']} numbers, {of['no digit']} without a digit; {len(networks)} runs"
    )
    print(f"\n{report.table((*head, 'no digit, accepted'), rows)}\n")
    chosen = ", ".join(f"{share:.1%}" for share in best) or "none of these limits"
    print(f"Most right answers with at most {MOST_WRONG:.0%} wrong, and no more accepted than as stored: {chosen}")


if __name__ == "__main__":
    main()
