"""The numbers of an evaluation as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_mlp.runs.directories import shown
from mnist_mlp.runs.newest import OUTPUTS, remarks

SPLITS = {"test": "the official test set", "val": "the validation images"}
SUSPICIOUS = 0.05
"""The p-value below which two networks are said to differ."""

CORNER = "true \\ guess"
CUT = 6  # letters of a class that head its column


@dataclass(frozen=True)
class Ink:
    """Colours for a terminal, or none."""

    colour: bool

    def bold(self, text: str) -> str:
        return self._painted(text, "1")

    def faint(self, text: str) -> str:
        return self._painted(text, "2")

    def red(self, text: str) -> str:
        return self._painted(text, "31")

    def _painted(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text


def tables(content: dict[str, Any], *, newest: bool, directory: Path, colour: bool) -> str:
    """`content` is that of metrics.json; `newest` says that no checkpoint was named."""
    ink = Ink(colour)
    networks = content.get("networks", [content])
    parts = [_subject(content, newest), _summary(networks, ink), _answering(networks, ink)]
    if "mcnemar" in content:
        parts.append(_compared(content["mcnemar"]))
    if len(networks) == 1:
        parts += [_classes(networks[0], content["class_names"], ink)]
        parts += [_confusion(networks[0]["confusion"], content["class_names"], ink)]
    if "robust" in content:
        parts.append(_robustness(content["robust"], networks, ink))
    parts.append(f"numbers and pictures  {shown(directory)}")
    return "\n\n".join(parts)


def _subject(content: dict[str, Any], newest: bool) -> str:
    places = [str(shown(Path(place))) for place in content["checkpoints"]]
    if len(places) == 1:
        chosen = remarks(Path(content["checkpoints"][0]), OUTPUTS) if newest else []
        lines = [f"network  {places[0]}", *(f"         {remark}" for remark in chosen)]
    else:
        lines = [f"network {number}  {place}" for number, place in enumerate(places, start=1)]
    return "\n".join([*lines, f"images   {content['images']:,} of {content['data']}: {SPLITS[content['split']]}"])


def _summary(networks: Sequence[dict[str, Any]], ink: Ink) -> str:
    rows = []
    for network in networks:
        low, high = network["accuracy_ci95"]
        accuracy = [f"{network['accuracy']:.2%}", f"{low:.2%} to {high:.2%}", str(network["mistakes"])]
        temperature = network["calibration"]["temperature"]
        if temperature == 1:
            rows.append([network["name"], *accuracy, *_losses(network)])
        else:
            rows.append([network["name"], *accuracy, *_losses(network["uncalibrated"])])
            rows.append([f"  at temperature {temperature:.3f}", "", "", "", *_losses(network)])
    return table(["", "accuracy", "95% interval", "mistakes", "nll", "brier", "ece"], rows, ink)


def _losses(numbers: dict[str, float]) -> list[str]:
    return [f"{numbers['nll']:.4f}", f"{numbers['brier']:.4f}", f"{numbers['ece']:.2%}"]


def _answering(networks: Sequence[dict[str, Any]], ink: Ink) -> str:
    """How much is answered where the unsure may be refused."""
    risks = list(networks[0]["coverage_at_risk"])
    rows = []
    for network in networks:
        point = network["answered"]
        rows.append(
            [
                network["name"],
                *(f"{network['coverage_at_risk'][risk]:.1%}" for risk in risks),
                f"{point['threshold']:.4f}",
                f"{point['coverage']:.1%}",
                f"{point['error']:.2%}",
            ]
        )
    return table(
        [
            "share answered with at most",
            *(f"{float(risk):.1%} wrong" for risk in risks),
            *("own threshold", "answered at it", "of these wrong"),
        ],
        rows,
        ink,
    )


def _compared(test: dict[str, Any]) -> str:
    p = test["p_value"]
    verdict = "they differ" if p < SUSPICIOUS else "no sign that they differ"
    return (
        f"right where the other is wrong: network 1 on {test['only_first']} images, "
        f"network 2 on {test['only_second']}; McNemar's exact test: p = {p:.2g}, {verdict}"
    )


def _classes(network: dict[str, Any], names: Sequence[str], ink: Ink) -> str:
    rows = []
    for index, name in enumerate(names):
        scores = network["per_class"][name]
        errors = [0 if other == index else count for other, count in enumerate(network["confusion"][index])]
        worst = max(errors)
        rows.append(
            [
                name,
                *(f"{scores[score]:.2%}" for score in ("precision", "recall", "f1")),
                str(scores["images"]),
                f"{names[errors.index(worst)]} ({worst} times)" if worst else "",
            ]
        )
    mean = network["macro"]
    rows.append(["mean", *(f"{mean[score]:.2%}" for score in ("precision", "recall", "f1")), "", ""])
    return table(["class", "precision", "recall", "f1", "images", "most taken for"], rows, ink)


def _confusion(matrix: list[list[int]], names: Sequence[str], ink: Ink) -> str:
    edge = max(len(name) for name in [CORNER, *names])
    width = max(6, 2 + max(len(name[:CUT]) for name in names))
    lines = [ink.bold(CORNER.ljust(edge) + "".join(f"{name[:CUT].rstrip():>{width}}" for name in names))]
    for row, (name, counts) in enumerate(zip(names, matrix, strict=True)):
        cells = []
        for column, count in enumerate(counts):
            cell = f"{count or '.':>{width}}"
            cells.append(ink.bold(cell) if row == column else ink.red(cell) if count else ink.faint(cell))
        lines.append(name.ljust(edge) + "".join(cells))
    return "\n".join(lines)


def _robustness(rows: Sequence[dict[str, Any]], networks: Sequence[dict[str, Any]], ink: Ink) -> str:
    clean = rows[0]["networks"]
    if len(networks) > 1:
        header = ["images", *(network["name"] for network in networks)]
        cells = [[row["name"], *(f"{numbers['accuracy']:.2%}" for numbers in row["networks"])] for row in rows]
        return table(header, cells, ink)
    header = ["images", "accuracy", "change, points", "nll", "answered", "of these wrong"]
    cells = []
    for row in rows:
        (numbers,) = row["networks"]
        lost = 100 * (numbers["accuracy"] - clean[0]["accuracy"])
        cells.append(
            [
                row["name"],
                f"{numbers['accuracy']:.2%}",
                f"{lost:+.2f}" if row is not rows[0] else "",
                f"{numbers['nll']:.3f}",
                f"{numbers['answered']:.1%}",
                f"{numbers['answered_error']:.2%}",
            ]
        )
    return table(header, cells, ink)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], ink: Ink) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "   ".join([first, *others]).rstrip()

    return "\n".join([ink.bold(line(header)), *map(line, rows)])
