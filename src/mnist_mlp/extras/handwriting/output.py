"""Readings as a table for people, and as JSON or CSV for programs: written line by line, however many there are."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from mnist_mlp.extras.handwriting.reader import ERROR, Reading

COLUMNS = ("file", "status", "text", "probability", "second", "second_probability", "message", "guess")
WIDEST = 60  # characters of a file name in the table; longer ones lose their beginning


def write_json(readings: Iterator[Reading], out: TextIO) -> None:
    """A list with one object for each file."""
    opening = "[\n  "
    for reading in readings:
        out.write(opening + json.dumps(reading.plain()))
        opening = ",\n  "
    out.write("\n]\n" if opening[0] == "," else "[]\n")


def write_csv(readings: Iterator[Reading], out: TextIO) -> None:
    """One line for each file; the probabilities are those of its least sure digit."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for reading in readings:
        least: list[Any] = ["", "", ""]
        if (guess := reading.least_sure) is not None:
            least = [f"{guess.probability:.4f}", guess.second, f"{guess.second_probability:.4f}"]
        table.writerow([reading.file, reading.status, reading.text, *least, reading.message or "", reading.guess])


def write_table(readings: Iterator[Reading], out: TextIO, files: Sequence[Path]) -> None:
    """One line for each file, digits in doubt in parentheses; the probabilities are those of its least sure digit."""
    width = max(len("file"), *(len(shown(file)) for file in files))
    out.write(f"{'file':<{width}}  digit  probability  second guess\n")
    for reading in readings:
        line = f"{shown(reading.file):<{width}}  "
        if (guess := reading.least_sure) is not None:
            second = f"{guess.second}  {guess.second_probability:.1%}"
            if len(reading.guesses) > 1:
                second = f"{second}  for the {guess.digit}"
            line += f"{reading.marked:<5}  {guess.probability:>11.1%}  {second}"
            line += f"   unsure: {reading.message}" if reading.message else ""
        else:
            line += f"-      error: {reading.message}" if reading.status == ERROR else f"-  {reading.message}"
        out.write(line + "\n")


def shown(file: Path, most: int = WIDEST) -> str:
    """A file name on one line, whatever characters it has; of a name longer than `most`, the end."""
    name = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in str(file))
    return name if len(name) <= most else "..." + name[3 - most :]
