"""Text for a terminal: tables with aligned columns, numbers to the right; paragraphs; texts shortened to fit."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

WIDTH = 80
"""Columns of the terminal that every table fits into."""


def text_table(rows: Sequence[Sequence[str]], *, emphasise: Callable[[str], str] = str) -> str:
    """A table of rows of cells. The first row is the header: its cells may have several lines, each emphasised."""
    header, *body = rows
    heads = [head.split("\n") for head in header]
    depth = max(map(len, heads))
    heads = [[""] * (depth - len(lines)) + lines for lines in heads]  # their last lines stand above the numbers
    columns = [[*head, *(row[index] for row in body)] for index, head in enumerate(heads)]
    aligned = [_aligned(cells, numeric=all(map(_is_number, cells[depth:]))) for cells in columns]
    lines = ["  ".join(cells).rstrip() for cells in zip(*aligned, strict=True)]
    return "\n".join([*map(emphasise, lines[:depth]), *lines[depth:]])


def _is_number(cell: str) -> bool:
    return not cell or cell[0].isdigit() or cell[0] in "-+–<"


def _aligned(cells: Sequence[str], *, numeric: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if numeric else cell.ljust(width) for cell in cells]


def widest(text: str) -> int:
    """The length of the longest line."""
    return max(map(len, text.splitlines()), default=0)


def wrapped(text: str, *, indent: str = "") -> str:
    """A paragraph within `WIDTH`; `indent` is for its second line and those that follow."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def ranges(numbers: Iterable[int]) -> str:
    """`[2, 3, 4, 7]` as `2-4, 7`."""
    found = sorted(numbers)
    known = set(found)
    starts = [number for number in found if number - 1 not in known]
    ends = [number for number in found if number + 1 not in known]
    spans = zip(starts, ends, strict=True)
    return ", ".join(str(start) if start == end else f"{start}-{end}" for start, end in spans)


def shortened(text: str, width: int) -> str:
    """`text`, with an ellipsis in place of its middle where it is longer than `width`."""
    if len(text) <= width:
        return text
    front = (width - 3) // 2
    return f"{text[:front]}...{text[len(text) - (width - 3 - front) :]}"
