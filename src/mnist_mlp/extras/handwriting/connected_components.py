"""The connected pieces of a mask, and which of them belong to one digit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]

BODY = 0.5  # of the tallest piece's height: a piece at least this tall is the body of a digit
SMALL = 0.25  # of the same: a piece that stands apart and is at least this tall is a digit too, as the 2 in 5²
REACH = 0.2  # of a digit's height: how far a piece may lie from the rest of its digit


@dataclass(frozen=True)
class Box:
    """Pixels x0 <= x < x1 and y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def longest(self) -> int:
        return max(self.width, self.height)

    @property
    def area(self) -> int:
        return self.width * self.height

    @property
    def middle(self) -> tuple[int, int]:
        """x, y."""
        return (self.x0 + self.x1) // 2, (self.y0 + self.y1) // 2

    def holds(self, other: Box) -> bool:
        return self.x0 < other.x0 and self.y0 < other.y0 and other.x1 < self.x1 and other.y1 < self.y1

    def moved(self, right: int, down: int) -> Box:
        return Box(self.x0 + right, self.y0 + down, self.x1 + right, self.y1 + down)

    def union(self, other: Box) -> Box:
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def gap(self, other: Box) -> int:
        """Pixels of nothing between the two, along the axis where they are further apart; 0 if they meet."""
        across = max(self.x0, other.x0) - min(self.x1, other.x1)
        down = max(self.y0, other.y0) - min(self.y1, other.y1)
        return max(across, down, 0)

    def shared_width(self, other: Box) -> float:
        """The columns that both cover, as a share of the narrower one's."""
        both = min(self.x1, other.x1) - max(self.x0, other.x0)
        return max(both, 0) / min(self.width, other.width)


def label(mask: NDArray[np.bool_]) -> tuple[Labels, list[Box]]:
    """Labels (H, W), 0 outside and 1.. for each 8-connected piece, with every piece's box.

    Pieces are numbered as reading order meets their first pixel.
    """
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)  # (H, W + 1): +1 starts, -1 ends
    row, start = np.nonzero(edges == 1)
    end = np.nonzero(edges == -1)[1]
    if row.size == 0:
        return np.zeros(mask.shape, np.int32), []
    root = connect(row, start, end, width)
    roots, piece = np.unique(root, return_inverse=True)
    count = roots.size
    box = np.empty((count, 4), np.int64)
    box[:, :2], box[:, 2:] = max(height, width), 0
    np.minimum.at(box[:, 0], piece, start)
    np.minimum.at(box[:, 1], piece, row)
    np.maximum.at(box[:, 2], piece, end)
    np.maximum.at(box[:, 3], piece, row + 1)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat(piece + 1, end - start)
    return labels, [Box(*edges) for edges in box.tolist()]


def connect(row: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """For every run (start <= x < end in its row, in reading order) the first run of its piece."""
    stride = width + 2  # keeps the keys of one row apart from the next row's
    key_start, key_end = row * stride + start, row * stride + end
    # A run of the row above touches this one, corners included, if it ends at or after its start and starts at or
    # before its end.
    first = np.searchsorted(key_end, key_start - stride, side="left")
    last = np.searchsorted(key_start, key_end - stride, side="right")
    touching = np.maximum(last - first, 0)
    below = np.repeat(np.arange(row.size), touching)
    above = np.arange(touching.sum()) - np.repeat(np.cumsum(touching) - touching, touching) + first[below]
    root = np.arange(row.size)
    while True:
        # Hang the later of two roots under the earlier one, then let every run point at its root.
        low, high = np.minimum(root[below], root[above]), np.maximum(root[below], root[above])
        if np.array_equal(low, high):
            return root
        np.minimum.at(root, high, low)
        while not np.array_equal(root, root[root]):
            root = root[root]


def gather(boxes: list[Box]) -> list[list[int]]:
    """Which pieces make up each digit, by their positions in `boxes`.

    Tall pieces are bodies, and so are smaller ones that stand apart from them. Bodies above one another join (a broken
    stroke); a small piece joins the body it is close to (the flag of a 5); a smaller one yet, far from any body, is a
    speck and is left out.
    """
    tallest = max(box.height for box in boxes)
    tall = [box for box in boxes if box.height >= BODY * tallest]
    is_body = [
        box.height >= BODY * tallest or (box.height >= SMALL * tallest and all(apart(box, other) for other in tall))
        for box in boxes
    ]
    bodies = [i for i in range(len(boxes)) if is_body[i]]
    small = [i for i in range(len(boxes)) if not is_body[i]]
    groups: list[tuple[Box, list[int]]] = []
    for i in sorted(bodies, key=lambda i: -boxes[i].height):
        box, members = boxes[i], [i]
        for group in [g for g in groups if stacked(g[0], box)]:
            groups.remove(group)
            box, members = box.union(group[0]), members + group[1]
        groups.append((box, members))
    for i in small:
        within = [(body, members) for body, members in groups if body.gap(boxes[i]) <= REACH * body.height]
        if within:
            _, members = min(within, key=lambda group: group[0].gap(boxes[i]))
            members.append(i)
    return [members for _, members in groups]


def apart(small: Box, tall: Box) -> bool:
    """Whether a small piece is no part of a tall one: far from it, or clearly beside it."""
    return small.gap(tall) > REACH * tall.height or (small.shared_width(tall) == 0 and small.gap(tall) > 1)


def stacked(one: Box, other: Box) -> bool:
    return one.shared_width(other) > 0.5 and one.gap(other) <= REACH * max(one.height, other.height)


def reading_order(boxes: list[Box]) -> list[int]:
    """Positions line by line from the top, each line from left to right."""
    lines: list[tuple[Box, list[int]]] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-boxes[i].height, boxes[i].y0)):
        for n, (extent, members) in enumerate(lines):
            overlap = min(extent.y1, boxes[i].y1) - max(extent.y0, boxes[i].y0)
            if overlap > 0.25 * boxes[i].height:
                lines[n] = (extent.union(boxes[i]), [*members, i])
                break
        else:
            lines.append((boxes[i], [i]))
    lines.sort(key=lambda line: line[0].y0)
    return [i for _, members in lines for i in sorted(members, key=lambda i: boxes[i].x0)]
