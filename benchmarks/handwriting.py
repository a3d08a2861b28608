"""How far a trained network can be trusted with people's own pictures.

`PYTHONPATH=src python benchmarks/handwriting.py [--checkpoint ...]` takes digits that no network here was trained or
tuned on, makes pictures of them, and sends these through the whole way of `predict.py`. It writes
results/handwriting.md, or with `--only damage writers ...` these sections of it anew.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import resource
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import report
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from mnist_mlp.config.schema import PROJECT
from mnist_mlp.data.image_file import FORMATS
from mnist_mlp.data.mnist import FASHION_MNIST, MNIST
from mnist_mlp.extras.handwriting.reader import BLANK, ERROR, OK, UNSURE, Reader, Reading
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.runs import chosen_checkpoint

sys.path.insert(0, str(PROJECT / "tests"))
from extras.handwriting import drawings

RESULTS = report.RESULTS / "handwriting.md"
# Letters whose strokes are those of somebody's 0, 1, 2, 5, 6, 8 or 9: chosen by shape, not by what a network answers.
# The report lists every other letter that was answered.
LOOK_ALIKE = set("OoQDIlijZzSsbGBgq")
SECTIONS = {
    "damage": "Digits as people have them",
    "writers": "Other writers",
    "paper": "Shadows and lines",
    "refusals": "What is no digit",
    "files": "Files of all kinds",
    "speed": "Speed",
}
FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono-Oblique", "STIXGeneral", "DejaVuSans-Bold")

# What is done to a digit at a random place: each kind alone, then all at once.
KINDS: dict[str, set[str]] = {
    "at a random place": {"place"},
    "0.3 to 0.6 times as large": {"place", "small"},
    "0.3 to 3 times as large": {"place", "size"},
    "light on dark or dark on light": {"place", "polarity"},
    "tinted paper and pen": {"place", "tint"},
    "a shadow across": {"place", "tint", "shadow"},
    "JPEG, quality 60": {"place", "tint", "jpeg"},
    "turned by up to 12 degrees": {"place", "turn"},
    "transparent": {"place", "alpha"},
    "noise": {"place", "noise"},
    "all at once": {"place", "size", "polarity", "tint", "shadow", "jpeg", "turn", "noise"},
}


def picture_of(digit: np.ndarray, done: set[str], rng: Generator) -> Image.Image:
    """A page with an MNIST digit `(28, 28)`, or a row of them, on it, by default twice as large as it was."""
    scale = rng.uniform(0.3, 3) if "size" in done else rng.uniform(0.3, 0.6) if "small" in done else 2.0
    mark = Image.fromarray(np.pad(digit, 6))
    if "turn" in done:
        mark = mark.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    wide, tall = (round(side * scale) for side in mark.size)
    mark = mark.resize((wide, tall), Image.Resampling.LANCZOS if scale > 1 else Image.Resampling.BOX)
    height, width = (int(side * factor) for side, factor in zip((tall, wide), rng.uniform(1.2, 4, 2), strict=True))
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    ink = np.zeros((height, width, 1))
    ink[top : top + tall, left : left + wide, 0] = np.asarray(mark) / 255
    paper, pen = np.full(3, 255.0), np.full(3, 25.0)
    if "tint" in done:
        paper, pen = rng.uniform(170, 255, 3), rng.uniform(0, 90, 3)
    if "polarity" in done and rng.random() < 0.5:
        paper, pen = pen, paper
    if "alpha" in done:
        stroke = np.full((height, width, 3), 255 * rng.integers(2))
        return Image.fromarray(np.concatenate([stroke, ink * 255], axis=2).astype(np.uint8))
    colours = paper + ink * (pen - paper)
    if "shadow" in done:
        down, across = np.mgrid[:height, :width] / max(height, width)
        angle, edge, width_of_edge = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.15), rng.uniform(0.02, 0.2)
        slope = np.cos(angle) * (across - across.mean()) + np.sin(angle) * (down - down.mean())
        colours *= (1 - rng.uniform(0.3, 0.6) / (1 + np.exp((edge - slope) / width_of_edge)))[..., None]
    if "noise" in done:
        colours = colours + rng.normal(0, 6, colours.shape)
    image = Image.fromarray(colours.clip(0, 255).round().astype(np.uint8))
    if "jpeg" in done:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=60)
        image = Image.open(buffer)
    return image


def letters(letter: str) -> Iterable[Image.Image]:
    """One letter in several fonts, upright and turned either way."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in FONTS:
        font = ImageFont.truetype(str(folder / f"{name}.ttf"), 50)
        for turn in (-8, 0, 8):
            page = Image.new("L", (96, 96), 255)
            ImageDraw.Draw(page).text((48, 48), letter, fill=0, font=font, anchor="mm")
            yield page.rotate(turn, Image.Resampling.BICUBIC, fillcolor=255)


def noise(rng: Generator, count: int) -> Iterable[Image.Image]:
    """A third each of fine noise, of noise in small pictures, and of soft blots."""
    for side, cells in ((120, 120), (28, 28), (64, 0)):
        for _ in range(count // 3):
            small = rng.integers(0, 256, (cells or rng.integers(3, 12),) * 2, np.uint8)
            yield Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def blank(rng: Generator, count: int) -> Iterable[Image.Image]:
    """Pages with nothing on them, evenly lit or not, with the noise of a camera or without."""
    for _ in range(count):
        across = np.linspace(0, rng.uniform(-60, 60), 200)[None] * np.ones((150, 1))
        page = rng.choice([20, 128, 230]) + across + rng.normal(0, rng.choice([0, 3, 8]), (150, 200))
        yield Image.fromarray(page.clip(0, 255).astype(np.uint8))


def read(reader: Reader, pictures: Iterable[Image.Image], folder: Path) -> list[Reading]:
    """By way of files, as people have them."""
    files = []
    for number, picture in enumerate(pictures):
        jpeg = getattr(picture, "format", None) == "JPEG"
        files.append(folder / f"{number}.{'jpg' if jpeg else 'png'}")
        picture.save(files[-1], **({"quality": "keep"} if jpeg else {"compress_level": 1}))
    readings = list(reader.read(files))
    for file in files:
        file.unlink()
    return readings


def right(readings: list[Reading], labels: np.ndarray) -> float:
    """The share with exactly one digit found and its best guess right, doubts aside."""
    return float(np.mean([[g.digit for g in r.guesses] == [n] for r, n in zip(readings, labels, strict=True)]))


def damage(reader: Reader, images: np.ndarray, labels: np.ndarray, folder: Path) -> str:
    predicted = reader.predictor.log_probabilities(torch.from_numpy(images)).argmax(1).numpy()
    plain = float((predicted == labels).mean())
    rows = [
        f"The first {len(images):,} digits of the test set.\n",
        "| what was done to the digit | accuracy | less than without |",
        "| --- | --- | --- |",
    ]
    rows.append(f"| nothing: the 28 x 28 given to the network | {plain:.2%} | |")
    untouched = right(read(reader, map(Image.fromarray, images), folder), labels)
    rows.append(f"| the 28 x 28 as a file | {untouched:.2%} | {100 * (plain - untouched):.2f} points |")
    for kind, done in KINDS.items():
        rng = np.random.default_rng(0)
        share = right(read(reader, (picture_of(image, done, rng) for image in images), folder), labels)
        rows.append(f"| {kind} | {share:.2%} | {100 * (plain - share):.2f} points |")
        print(rows[-1], file=sys.stderr)
    return "\n".join(rows)


def other_writers(reader: Reader, folder: Path) -> str:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pages = [
        np.pad((255 - image * 255 / 16).round().astype(np.uint8), 1, constant_values=255) for image in digits.images
    ]
    pictures = [Image.fromarray(page).resize((100, 100), Image.Resampling.BICUBIC) for page in pages]
    accuracy = right(read(reader, pictures, folder), digits.target)
    which = f"{len(pictures):,} digits (8 x 8, other writers, with a pixel of paper around, enlarged to 100 x 100)"
    return f"scikit-learn's {which}: **{accuracy:.1%}** right."


def paper(reader: Reader, folder: Path) -> str:
    """Numbers of one to six digits, drawn by the tests' pen: from hands that are in no data set."""
    kinds: dict[str, Callable[[Generator], tuple[Any, ...]]] = {
        "small or pale, beside a shadow with a hard edge": drawings.beside_a_shadow,
        "on ruled paper": lambda rng: drawings.on_lines(rng, squared=False),
        "on squared paper": lambda rng: drawings.on_lines(rng, squared=True),
    }
    rows: list[tuple[object, ...]] = []
    for kind, draw in kinds.items():
        drawn = [draw(np.random.default_rng(seed)) for seed in range(20)]
        readings = read(reader, [page for page, *_ in drawn], folder)
        texts = [text for _, text, *_ in drawn]
        pairs = list(zip(readings, texts, strict=True))
        found = sum(len(reading.guesses) == len(text) for reading, text in pairs)
        best = sum(reading.guess == text for reading, text in pairs)
        answered = [(reading.text, text) for reading, text in pairs if reading.status == OK]
        wrong = sum(answer != text for answer, text in answered)
        rows.append((f"{kind} (20)", found, best, len(answered) - wrong, wrong))
    return report.table(("numbers", "all digits found", "best guess right", "answered right", "answered wrong"), rows)


def refusals(reader: Reader, images: np.ndarray, labels: np.ndarray, data: Path, folder: Path) -> str:
    rng = np.random.default_rng(0)
    groups: dict[str, Iterable[Image.Image]] = {
        "MNIST test digits": map(Image.fromarray, images),
        "blank pages": blank(rng, 300),
        "noise": noise(rng, 300),
        "Fashion-MNIST": map(Image.fromarray, FASHION_MNIST.load_from(data).test_images[:1_000, 0]),
    }
    groups |= {letter: letters(letter) for letter in string.ascii_letters}
    readings = {name: read(reader, pictures, folder) for name, pictures in groups.items()}
    unlike = [letter for letter in string.ascii_letters if letter not in LOOK_ALIKE]
    readings["letters without the shape of a digit"] = [r for letter in unlike for r in readings[letter]]
    like = f"letters with it ({''.join(sorted(LOOK_ALIKE))})"
    readings[like] = [r for letter in sorted(LOOK_ALIKE) for r in readings[letter]]
    kinds = [name for name in readings if name not in string.ascii_letters]
    rows: list[tuple[object, ...]] = []
    for name in kinds:
        status = [reading.status for reading in readings[name]]
        shares = [f"{status.count(kind) / len(status):.1%}" for kind in (OK, UNSURE, BLANK)]
        rows.append((f"{name} ({len(status):,})", *shares))
    wrong = sum(r.status == OK and r.text != str(n) for r, n in zip(readings[kinds[0]], labels, strict=True))
    answered = {letter: [r.text for r in readings[letter] if r.status == OK] for letter in string.ascii_letters}
    answered_as = [
        f"{letter} {len(texts)} ({', '.join(sorted(set(texts)))})"
        for letter, texts in sorted(answered.items(), key=lambda item: -len(item[1]))
        if texts
    ]
    return "\n\n".join(
        [
            report.table(("pictures of", "answered", "unsure", "no digit found"), rows),
            f"{wrong} of the answers to digits are wrong. Letters answered, of {len(readings['a'])} pictures each, and "
            f"as what: {', '.join(answered_as)}.",
        ]
    )


def fuzz(reader: Reader, number: int, folder: Path) -> str:
    """Random bytes, changed bytes and cut files, from small pictures of all formats."""
    rng, originals = random.Random(0), []
    for kind in FORMATS:
        for side in (28, 300):
            buffer = io.BytesIO()
            Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)).save(buffer, kind)
            originals.append(buffer.getvalue())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest, statuses = 0.0, dict.fromkeys((OK, UNSURE, BLANK, ERROR), 0)
    file = folder / "fuzzed"
    for turn in range(number):
        content = bytearray(rng.choice(originals))
        if turn % 4 == 0:
            content = bytearray(rng.randbytes(rng.randrange(1, 2_000)))
        elif turn % 4 == 1:
            del content[rng.randrange(len(content)) :]
        else:
            for _ in range(rng.choice([1, 3, 20])):
                content[rng.randrange(min(len(content), 80 if turn % 4 == 2 else len(content)))] = rng.randrange(256)
        file.write_bytes(content)
        began = time.perf_counter()
        [reading] = reader.read([file])
        slowest = max(slowest, time.perf_counter() - began)
        statuses[reading.status] += 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    counts = ", ".join(f"{count:,} {status}" for status, count in statuses.items())
    return f"{number:,} damaged files: {counts}; the slowest took {slowest:.2f} s; memory grew by {grown:.0f} MB."


def speed(checkpoint: Path, images: np.ndarray, folder: Path) -> str:
    for number, image in enumerate(np.resize(images, (10_000, 28, 28))):
        Image.fromarray(image).save(folder / f"{number}.png", compress_level=1)

    def seconds(*words: object) -> float:
        """Of the processor, which a busy machine does not lengthen as it does those of the clock."""
        command = [sys.executable, str(PROJECT / "src/predict.py"), "--checkpoint", str(checkpoint), "--format", "csv"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, *map(str, words)], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    one = statistics.median(seconds(folder / "0.png") for _ in range(3))
    many = seconds(folder)
    return (
        f"One picture: {one:.1f} s of one core for the whole command, most of it the import of "
        f"torch. A folder of 10,000 PNG files (28 x 28): {many:.1f} s, "
        f"{10_000 / (many - one):,.0f} a second behind the import."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkpoint", type=Path, help="default: the newest completed run")
    parser.add_argument("--digits", type=int, default=10_000, help="of MNIST's test set, the first so many")
    parser.add_argument("--fuzzed", type=int, default=10_000, help="damaged files")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections to measure anew")
    options = parser.parse_args()
    predictor = Predictor.load(options.checkpoint or chosen_checkpoint.newest(PROJECT / "outputs"))
    reader, data = Reader(predictor), Path(predictor.config.data.dir)
    mnist = MNIST.load_from(data)
    images, labels = mnist.test_images[:, 0], mnist.test_labels
    measure: dict[str, Callable[[Path], str]] = {
        "damage": lambda folder: damage(reader, images[: options.digits], labels[: options.digits], folder),
        "writers": lambda folder: other_writers(reader, folder),
        "paper": lambda folder: paper(reader, folder),
        "refusals": lambda folder: refusals(reader, images[: options.digits], labels[: options.digits], data, folder),
        "files": lambda folder: fuzz(reader, options.fuzzed, folder),
        "speed": lambda folder: speed(predictor.checkpoint, images, folder),
    }
    config = predictor.config
    hidden = "-".join(map(str, config.model.hidden))
    network = f"Network: {hidden}, {config.model.activation}, {config.trainer.max_epochs} epochs, seed {config.seed}."
    before = RESULTS.read_text() if RESULTS.exists() else ""
    sections = dict(re.findall(r"^## (.*)\n\n((?:(?!## ).*\n)*)", before, re.MULTILINE))
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            sections[SECTIONS[name]] = f"{network}\n\n{measure[name](Path(folder))}"
        head = f"`PYTHONPATH=src python benchmarks/handwriting.py --checkpoint <run>`. {report.machine()}"
        parts = [f"## {title}\n\n{sections[title].strip()}" for title in SECTIONS.values() if title in sections]
        RESULTS.write_text("\n\n".join(["# People's own pictures", head, *parts]) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
