"""How a hand draws the ten digits: points of each stroke, in shares of the sheet's sides from its upper left corner."""

from __future__ import annotations

import math

Stroke = list[tuple[float, float]]


def _arc(x: float, y: float, across: float, down: float, start: float, end: float) -> Stroke:
    """Part of an ellipse, angles in turns: 0 is to the right, 0.25 below."""
    angles = [math.tau * (start + (end - start) * step / 16) for step in range(17)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


STROKES: dict[str, list[Stroke]] = {
    "0": [_arc(0.5, 0.5, 0.2, 0.3, -0.25, 0.75)],
    "1": [[(0.53, 0.2), (0.5, 0.5), (0.47, 0.8)]],
    "2": [[*_arc(0.5, 0.35, 0.17, 0.15, 0.5, 1.05), (0.33, 0.78), (0.7, 0.76)]],
    "3": [[*_arc(0.47, 0.35, 0.17, 0.15, 0.6, 1.2), *_arc(0.47, 0.64, 0.2, 0.16, 0.8, 1.4)]],
    "4": [[(0.38, 0.2), (0.32, 0.52), (0.68, 0.5)], [(0.64, 0.22), (0.6, 0.82)]],
    "5": [[(0.4, 0.22), (0.37, 0.46), *_arc(0.45, 0.62, 0.2, 0.17, 0.72, 1.4)], [(0.4, 0.22), (0.66, 0.2)]],
    "6": [[(0.6, 0.2), (0.45, 0.35), (0.37, 0.6), *_arc(0.5, 0.65, 0.14, 0.14, 0.5, 1.5)]],
    "7": [[(0.32, 0.24), (0.66, 0.22), (0.55, 0.5), (0.47, 0.8)]],
    "8": [[*_arc(0.5, 0.35, 0.14, 0.14, 0.25, 1.25), *_arc(0.5, 0.65, 0.17, 0.16, -0.25, 0.75)]],
    "9": [[*_arc(0.5, 0.37, 0.15, 0.15, 0.0, 1.0), (0.63, 0.55), (0.58, 0.8)]],
}
