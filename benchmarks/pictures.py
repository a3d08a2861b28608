"""How well a trained network reads a folder of your own pictures, in a table.

`PYTHONPATH=src python benchmarks/pictures.py DIR [--checkpoint ...] [--each]`. The label of a picture is in its name:
`s_7_021.jpg` holds a single 7, `n_4072_003.png` a number, from left to right, and `x_005.png` nothing that is a digit
and must be refused. `7.png` or `photo__4072.jpg`, with the label alone or behind two underscores, will do as well.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import report

from mnist_mlp.config.schema import PROJECT
from mnist_mlp.data.image_file import SUFFIXES
from mnist_mlp.extras.handwriting.reader import BLANK, OK, Reader, Reading
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.runs import chosen_checkpoint

KINDS = {"s": "single digits", "n": "numbers", "x": "no digits"}


@dataclass(frozen=True)
class Labelled:
    file: Path
    label: str
    """The digits in the picture; empty where there are none."""

    @property
    def kind(self) -> str:
        return "x" if not self.label else "s" if len(self.label) == 1 else "n"


def labelled(folder: Path) -> list[Labelled]:
    """Every picture of a folder whose name says what is in it."""
    found = []
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in SUFFIXES:
            name = re.fullmatch(r"x(?:_.*)?|(?:[sn]_|.*__)?(\d+)(?:_.*)?", file.stem)
            if name is not None:
                found.append(Labelled(file, name[1] or ""))
    return found


def guess(reading: Reading) -> str:
    return "".join(str(guess.digit) for guess in reading.guesses)


def table(pictures: list[Labelled], readings: list[Reading]) -> str:
    rows: list[tuple[object, ...]] = []
    for kind, name in KINDS.items():
        pairs = [(p, r) for p, r in zip(pictures, readings, strict=True) if p.kind == kind]
        if not pairs:
            continue
        answered = [(p, r) for p, r in pairs if r.status == OK]
        wrong = sum(r.text != p.label for p, r in answered)
        best = sum(guess(r) == p.label for p, r in pairs)
        missed = sum(r.status == BLANK for _, r in pairs)
        share = [f"{n} ({n / len(pairs):.1%})" for n in (best, len(answered) - wrong, wrong, missed)]
        if kind == "x":
            share = ["", "", share[2], f"{len(pairs) - len(answered)} refused, {missed} of them with no digit found"]
        rows.append((f"{name} ({len(pairs)})", *share))
    return report.table(("pictures of", "best guess right", "answered right", "answered wrong", "no digit found"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--checkpoint", type=Path, help="default: the newest completed run")
    parser.add_argument("--each", action="store_true", help="also list what was not answered right")
    options = parser.parse_args()
    pictures = labelled(options.folder)
    if not pictures:
        sys.exit(f"pictures.py: {options.folder}: expected pictures whose names hold their labels, as s_7_021.jpg")
    predictor = Predictor.load(options.checkpoint or chosen_checkpoint.newest(PROJECT / "outputs"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    readings = list(Reader(predictor).read([picture.file for picture in pictures]))
    seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    print(f"checkpoint: {predictor.checkpoint}\n\n{table(pictures, readings)}\n")
    print(f"{len(pictures)} pictures in {seconds:.1f} s of one core, behind the imports.")
    if options.each:
        for picture, reading in zip(pictures, readings, strict=True):
            if (reading.status, reading.text) != (OK, picture.label) and (picture.label or reading.status == OK):
                print(f"{picture.file.name}: {reading.status} {reading.text} (best guess {guess(reading) or '-'})")


if __name__ == "__main__":
    main()
