"""Digits drawn with a pen of our own and photographed by simulation: images that no data set has.

A digit is a few strokes through hand-chosen points, in two ways of writing. `write` draws numbers on a clean sheet;
`photograph` makes of it what a telephone would.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Stroke = list[Point]

# Points x, y in a box one high, y down; a stroke runs smoothly through its points.
STYLES: list[dict[str, list[Stroke]]] = [
    {
        "0": [[(0.35, 0.02), (0.08, 0.3), (0.06, 0.7), (0.3, 0.98), (0.58, 0.72), (0.6, 0.3), (0.35, 0.02)]],
        "1": [[(0.3, 0.0), (0.29, 0.5), (0.27, 1.0)]],
        "2": [[(0.08, 0.22), (0.3, 0.0), (0.55, 0.22), (0.4, 0.6), (0.05, 0.97), (0.25, 0.94), (0.62, 0.96)]],
        "3": [[(0.1, 0.1), (0.35, 0.0), (0.52, 0.22), (0.25, 0.46), (0.56, 0.7), (0.35, 0.98), (0.05, 0.88)]],
        "4": [
            [(0.3, 0.0), (0.18, 0.35), (0.04, 0.6), (0.3, 0.6), (0.66, 0.58)],
            [(0.5, 0.25), (0.47, 0.6), (0.44, 1.0)],
        ],
        "5": [
            [(0.15, 0.03), (0.13, 0.25), (0.1, 0.46), (0.35, 0.42), (0.56, 0.68), (0.35, 0.97), (0.05, 0.92)],
            [(0.15, 0.03), (0.35, 0.03), (0.58, 0.0)],
        ],
        "6": [[(0.5, 0.0), (0.2, 0.3), (0.07, 0.7), (0.3, 0.98), (0.54, 0.75), (0.35, 0.53), (0.1, 0.72)]],
        "7": [[(0.03, 0.05), (0.3, 0.06), (0.6, 0.03), (0.4, 0.45), (0.2, 1.0)]],
        "8": [
            [
                (0.52, 0.16),
                (0.3, 0.0),
                (0.12, 0.2),
                (0.3, 0.44),
                (0.55, 0.74),
                (0.3, 0.98),
                (0.06, 0.76),
                (0.32, 0.44),
                (0.52, 0.16),
            ]
        ],
        "9": [[(0.54, 0.2), (0.3, 0.03), (0.08, 0.25), (0.27, 0.48), (0.54, 0.22), (0.52, 0.55), (0.42, 1.0)]],
    },
    {
        "0": [[(0.5, 0.08), (0.22, 0.05), (0.05, 0.45), (0.22, 0.95), (0.52, 0.8), (0.62, 0.35), (0.42, 0.04)]],
        "1": [[(0.08, 0.28), (0.2, 0.15), (0.33, 0.0)], [(0.33, 0.0), (0.33, 0.5), (0.33, 1.0)]],
        "2": [
            [(0.1, 0.15), (0.32, 0.02), (0.52, 0.25), (0.3, 0.7), (0.08, 0.98)],
            [(0.08, 0.98), (0.35, 0.96), (0.6, 1.0)],
        ],
        "3": [
            [(0.08, 0.06), (0.4, 0.06), (0.5, 0.1), (0.3, 0.4)],
            [(0.3, 0.4), (0.56, 0.6), (0.4, 0.95), (0.05, 0.95)],
        ],
        "4": [
            [(0.12, 0.02), (0.1, 0.3), (0.08, 0.52), (0.35, 0.53), (0.58, 0.5)],
            [(0.5, 0.03), (0.49, 0.5), (0.47, 1.0)],
        ],
        "5": [
            [(0.55, 0.04), (0.35, 0.04), (0.16, 0.06)],
            [(0.16, 0.06), (0.12, 0.45), (0.4, 0.4), (0.52, 0.7), (0.1, 1.0)],
        ],
        "6": [[(0.36, 0.0), (0.1, 0.5), (0.12, 0.88), (0.36, 0.95), (0.5, 0.7), (0.3, 0.58), (0.1, 0.7)]],
        "7": [
            [(0.05, 0.08), (0.3, 0.05), (0.56, 0.05), (0.42, 0.4), (0.25, 1.0)],
            [(0.18, 0.52), (0.35, 0.5), (0.52, 0.49)],
        ],
        "8": [
            [(0.3, 0.02), (0.1, 0.18), (0.3, 0.42), (0.5, 0.2), (0.3, 0.02)],
            [(0.3, 0.42), (0.06, 0.7), (0.3, 0.98), (0.56, 0.7), (0.3, 0.42)],
        ],
        "9": [
            [(0.5, 0.22), (0.28, 0.02), (0.1, 0.25), (0.3, 0.48), (0.5, 0.22)],
            [(0.5, 0.12), (0.5, 0.6), (0.49, 1.0)],
        ],
    },
]


def smooth(stroke: Stroke, steps: int = 12) -> list[Point]:
    """Catmull and Rom's curve through the points of a stroke."""
    points = np.array([stroke[0], *stroke, stroke[-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curve = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(points, points[1:], points[2:], points[3:], strict=False)
    ]
    return [(float(x), float(y)) for x, y in np.concatenate([*curve, points[-1:]])]


def write(
    text: Iterable[str],
    rng: Generator,
    *,
    height: float = 60,
    pen: float = 0.09,
    margin: float = 0.6,
    gap: float = 0.35,
    ink: int = 20,
    paper: int = 255,
    styles: list[dict[str, list[Stroke]]] = STYLES,
) -> Image.Image:
    """A sheet (mode L) with `text` on one line, a little different each time.

    Args:
        height: pixels of a digit.
        pen: width of a stroke; `margin` around the line and `gap` between the digits: all in digit heights.
        styles: ways of writing each character, one drawn by lot for each.
    """
    detail = 4  # drawn larger and reduced, for smooth edges
    x, marks = margin, []
    for character in text:
        turn, slant = rng.normal(0, 0.06), rng.normal(0.06, 0.08)
        wide, tall = rng.uniform(0.85, 1.15), rng.uniform(0.92, 1.06)
        drop = margin + rng.uniform(-0.06, 0.06)
        strokes = []
        for stroke in styles[rng.integers(len(styles))][character]:
            points = np.array(smooth([(px + rng.normal(0, 0.018), py + rng.normal(0, 0.018)) for px, py in stroke]))
            dx, dy = points[:, 0] - 0.32, points[:, 1] - 0.5
            dx = (dx - slant * dy) * wide
            dy = dy * tall
            strokes.append(np.stack([dx - turn * dy, dy + turn * dx], 1))
        left = min(float(s[:, 0].min()) for s in strokes)
        right = max(float(s[:, 0].max()) for s in strokes)
        marks += [s + np.array([x - left, drop + 0.5]) for s in strokes]
        x += right - left + gap
    size = (round(height * (x - gap + margin)), round(height * (1 + 2 * margin)))
    sheet = Image.new("L", (size[0] * detail, size[1] * detail), paper)
    draw = ImageDraw.Draw(sheet)
    radius = pen * height * detail / 2
    for mark in marks:
        dots = [(px * height * detail, py * height * detail) for px, py in mark.tolist()]
        draw.line(dots, fill=ink, width=max(1, round(2 * radius)), joint="curve")
        for px, py in (dots[0], dots[-1]):
            draw.ellipse((px - radius, py - radius, px + radius, py + radius), fill=ink)
    return sheet.reduce(detail)


def photograph(sheet: Image.Image, rng: Generator, *, side: int = 700, desk: bool = False) -> Image.Image:
    """What a telephone makes of a sheet (mode L): tilted, unevenly lit, a little blurred, noisy, coloured, a JPEG.

    With `desk`, a dark table shows around the paper.
    """
    width, height = sheet.size
    zoom = side / max(width, height)
    w, h = round(width * zoom), round(height * zoom)
    rim = 0.08 if desk else -0.03
    bend = rng.uniform(-0.03, 0.03, 8) + np.array([-rim, -rim, -rim, 1 + rim, 1 + rim, 1 + rim, 1 + rim, -rim])
    corners = bend.reshape(4, 2) * (width, height)  # of the photograph, on the sheet: as Image.QUAD wants them
    table = int(rng.uniform(30, 70))
    padded = Image.new("L", (3 * width, 3 * height), table if desk else 255)
    padded.paste(sheet, (width, height))
    quad = (corners + np.array([width, height])).ravel().tolist()
    photo = padded.transform((w, h), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
    grey = np.asarray(photo.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2))), np.float64) / 255
    down, across = np.mgrid[:h, :w] / max(w, h)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * across + np.sin(angle) * down
    light = 0.75 + 0.25 * (slope - slope.min()) / np.ptp(slope)
    edge = rng.uniform(0.2, 0.8) + rng.normal(0, 0.15) * down  # the shadow of the telephone
    light *= 1 - rng.uniform(0.15, 0.4) / (1 + np.exp((across - edge) * rng.uniform(20, 80)))
    colour = np.array([1.0, rng.uniform(0.92, 1.0), rng.uniform(0.75, 1.0)])
    seen = 235 * (0.06 + 0.94 * grey * light)[..., None] * colour + rng.normal(0, 4, (h, w, 3))
    buffer = io.BytesIO()
    Image.fromarray(seen.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=75)
    return Image.open(buffer)


def number(rng: Generator) -> str:
    """One to six digits."""
    return "".join(map(str, rng.integers(0, 10, rng.integers(1, 7))))


def beside_a_shadow(rng: Generator) -> tuple[Image.Image, str, tuple[int, int]]:
    """A page with a small or pale number beside a shadow with a hard edge; the number, and its columns."""
    text = number(rng)
    sheet = write(text, rng, height=rng.uniform(18, 45), pen=0.1, margin=0.3, ink=int(rng.integers(20, 130)))
    height, width = 600, 450
    ink = np.zeros((height, width))
    top, left = int(rng.integers(20, height - sheet.height - 20)), int(rng.integers(10, 200 - sheet.width // 2))
    ink[top : top + sheet.height, left : left + sheet.width] = 1 - np.asarray(sheet) / 255
    down, across = np.mgrid[:height, :width]
    # A lit wedge to the right of the number. A shadow narrower than two fifths of the picture would count as a stroke.
    edge = max(left + sheet.width + rng.uniform(25, 60), 0.42 * width)
    lit = (across > edge - 0.05 * (down - 300)) & (down < 300 + rng.uniform(0.3, 1.2) * (across - edge))
    page = 200 * (1 - ink) * np.where(lit, 1, rng.uniform(0.35, 0.6)) + rng.normal(0, 2, ink.shape)
    return Image.fromarray(page.clip(0, 255).astype(np.uint8)), text, (left, left + sheet.width)


def on_lines(rng: Generator, *, squared: bool, line: int = 190) -> tuple[Image.Image, str]:
    """A photograph of a number on ruled or squared paper, whose lines have the grey level `line`; the number."""
    text = number(rng)
    page = np.asarray(write(text, rng, height=rng.uniform(30, 80), margin=0.8, paper=235)).copy()
    pitch = int(rng.uniform(20, 60))
    rules = [page[rng.integers(pitch) :: pitch], page[:, rng.integers(pitch) :: pitch]]
    for rule in rules[: 1 + squared]:
        np.minimum(rule, line, out=rule)
    return photograph(Image.fromarray(page), rng, side=500), text


def main() -> None:
    """Write the photographs that the README's command reads, each under the name of what it shows."""
    folder = Path(__file__).parents[3] / "docs" / "photos"
    for text in ("3", "7", "42", "2026"):
        rng = np.random.default_rng(10)
        sheet = write(text, rng, height=110, pen=0.08)
        photograph(sheet, rng, side=360, desk=text == "42").save(folder / f"{text}.jpg", quality="keep")


if __name__ == "__main__":
    main()
