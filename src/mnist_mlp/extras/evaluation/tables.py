"""The numbers of an evaluation as tables for the terminal, at most 80 columns wide."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from mnist_mlp.extras.evaluation.ensemble import left_out, side_by_side
from mnist_mlp.extras.text_table import WIDTH, shortened, text_table, wrapped
from mnist_mlp.runs.directories import shown
from mnist_mlp.runs.newest import OUTPUTS, remarks

SPLITS = {"test": "the test set", "val": "the validation images"}
SIGNIFICANT = 0.05
"""The p-value below which two networks count as different."""

SUMMARY = ("accuracy", "95% interval", "mistakes", "nll", "brier", "ece")
CORNER = "true \\ guess"
CUT = 6  # characters of a class name that head its column
NAME = 17  # characters of a class name elsewhere
CLASSES = 20
"""With more classes than this, only the worst ones are shown, as many as this."""
PAIRS = 12
"""Frequent mistakes printed instead of a confusion matrix that does not fit."""
NETWORKS = 5
"""Side by side under each corruption, at most."""


@dataclass(frozen=True)
class TerminalStyle:
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
    """`content` is that of metrics.json; `newest`: no checkpoint was named."""
    style = TerminalStyle(colour)
    networks, names = content.get("networks", [content]), content["class_names"]
    parts = [_subject(content, newest), _summary(networks, style), _answering(networks, style)]
    if "mcnemar" in content:
        parts.append(wrapped(comparison(content["mcnemar"])))
    if len(networks) == 1:
        (network,) = networks
        parts.append(_classes(network, names, style))
        parts.append(_confusion(network["confusion"], names, style) or _pairs(network["confusion"], names, style))
    if "robust" in content:
        parts.append(_robustness(content["robust"], networks, style))
    parts.append(f"numbers and pictures  {shown(directory)}\nin one page           {shown(directory / 'report.html')}")
    return "\n\n".join(part for part in parts if part)


def _subject(content: dict[str, Any], newest: bool) -> str:
    places = [str(shown(Path(place))) for place in content["checkpoints"]]
    if len(places) == 1:
        chosen = remarks(Path(content["checkpoints"][0]), OUTPUTS) if newest else []
        lines = [f"network  {places[0]}", *(f"         {remark}" for remark in chosen)]
    else:
        lines = [f"network {number}  {place}" for number, place in enumerate(places, start=1)]
    return "\n".join([*lines, f"images   {content['images']:,} of {content['data']}: {SPLITS[content['split']]}"])


def _summary(networks: Sequence[dict[str, Any]], style: TerminalStyle) -> str:
    rows = [row for network in networks for row in summary_rows(network)]
    return text_table([["", *SUMMARY], *rows], emphasise=style.bold)


def summary_rows(network: dict[str, Any]) -> list[list[str]]:
    """Its name and the columns of SUMMARY, with losses as it was trained; then those at its temperature, unless 1."""
    low, high = network["accuracy_ci95"]
    accuracy = [f"{network['accuracy']:.2%}", f"{low:.2%} to {high:.2%}", f"{network['mistakes']:,}"]
    temperature = network["calibration"]["temperature"]
    rows = [[network["name"], *accuracy, *_losses(network if temperature == 1 else network["uncalibrated"])]]
    if temperature != 1:
        rows.append([f"  at T = {temperature:.3f}", *([""] * len(accuracy)), *_losses(network)])
    return rows


def _losses(numbers: dict[str, float]) -> list[str]:
    return [f"{numbers['nll']:.4f}", f"{numbers['brier']:.4f}", f"{numbers['ece']:.2%}"]


def _answering(networks: Sequence[dict[str, Any]], style: TerminalStyle) -> str:
    """Coverage at each allowed error rate, and coverage and error at the checkpoint's own threshold."""
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
    header = [
        "answered\nwith at most",
        *(f"{float(risk):.1%}\nwrong" for risk in risks),
        *("checkpoint's\nthreshold", "answered\nat it", "of these\nwrong"),
    ]
    return text_table([header, *rows], emphasise=style.bold)


def comparison(test: dict[str, Any]) -> str:
    """McNemar's test of the first two networks, in words."""
    p = test["p_value"]
    verdict = "they differ" if p < SIGNIFICANT else "no sign that they differ"
    return (
        f"right where the other is wrong: network 1 on {test['only_first']} images, "
        f"network 2 on {test['only_second']}; McNemar's exact test: p = {p:.2g}, {verdict}"
    )


def _classes(network: dict[str, Any], names: Sequence[str], style: TerminalStyle) -> str:
    header, *rows, mean = class_rows(network, [shortened(name, NAME) for name in names])
    if len(rows) <= CLASSES:
        return text_table([header, *rows, mean], emphasise=style.bold)
    f1 = [scores["f1"] for scores in network["per_class"].values()]
    worst = sorted(range(len(rows)), key=f1.__getitem__)[:CLASSES]
    note = f"the {CLASSES} classes with the least f1, of {len(rows):,}; all of them are in metrics.json"
    return text_table([header, *(rows[index] for index in worst), mean], emphasise=style.bold) + f"\n{note}"


def class_rows(network: dict[str, Any], names: Sequence[str]) -> list[list[str]]:
    """A header, a row for each class in their order, and the mean; `names` are what to call them."""
    rows = [["class", "precision", "recall", "f1", "images", "most taken for (times)"]]
    for index, (name, scores) in enumerate(zip(names, network["per_class"].values(), strict=True)):
        counts = network["confusion"][index]
        guess = max((other for other in range(len(counts)) if other != index), key=counts.__getitem__)
        rows.append(
            [
                name,
                *(f"{scores[score]:.2%}" for score in ("precision", "recall", "f1")),
                f"{scores['images']:,}",
                f"{names[guess]} ({counts[guess]:,})" if counts[guess] else "",
            ]
        )
    mean = network["macro"]
    return [*rows, ["mean", *(f"{mean[score]:.2%}" for score in ("precision", "recall", "f1")), "", ""]]


def confused_pairs(matrix: list[list[int]], names: Sequence[str], most: int) -> list[tuple[str, str, int]]:
    """True class, guess and count of the most frequent mistakes."""
    pairs = [
        (names[truth], names[guess], count)
        for truth, row in enumerate(matrix)
        for guess, count in enumerate(row)
        if count and truth != guess
    ]
    return heapq.nlargest(most, pairs, key=itemgetter(2))  # equals in their order


def _confusion(matrix: list[list[int]], names: Sequence[str], style: TerminalStyle) -> str:
    """The matrix; nothing where it does not fit."""
    names = [shortened(name, NAME) for name in names]
    edge = max(len(name) for name in [CORNER, *names])
    most = max(len(str(count)) for row in matrix for count in row)
    width = 2 + max(4 if len(names) <= 10 else most, most, *(len(name[:CUT]) for name in names))
    if edge + width * len(names) > WIDTH:
        return ""
    lines = [style.bold(CORNER.ljust(edge) + "".join(f"{name[:CUT].rstrip():>{width}}" for name in names))]
    for row, (name, counts) in enumerate(zip(names, matrix, strict=True)):
        cells = []
        for column, count in enumerate(counts):
            cell = f"{count or '.':>{width}}"
            cells.append(style.bold(cell) if row == column else style.red(cell) if count else style.faint(cell))
        lines.append(name.ljust(edge) + "".join(cells))
    return "\n".join(lines)


def _pairs(matrix: list[list[int]], names: Sequence[str], style: TerminalStyle) -> str:
    pairs = confused_pairs(matrix, [shortened(name, NAME) for name in names], PAIRS)
    if not pairs:
        return ""
    rows = [["most frequent mistakes", "taken for", "times"], *([*words, str(count)] for *words, count in pairs)]
    return text_table(rows, emphasise=style.bold)


def _robustness(rows: Sequence[dict[str, Any]], networks: Sequence[dict[str, Any]], style: TerminalStyle) -> str:
    clean = rows[0]["networks"]
    if len(networks) > 1:
        names = [network["name"] for network in networks]
        chosen = side_by_side(names, NETWORKS)
        header = ["accuracy on", *(names[index] for index in chosen)]
        cells = [[row["name"], *(f"{row['networks'][index]['accuracy']:.2%}" for index in chosen)] for row in rows]
        table = text_table([header, *cells], emphasise=style.bold)
        return "\n\n".join([table, left_out(names, NETWORKS)]).rstrip()
    header = ["images", "accuracy", "change,\npoints", "nll", "answered", "of these\nwrong"]
    cells = []
    for row in rows:
        (numbers,) = row["networks"]
        change = 100 * (numbers["accuracy"] - clean[0]["accuracy"])
        cells.append(
            [
                row["name"],
                f"{numbers['accuracy']:.2%}",
                f"{change:+.2f}" if row is not rows[0] else "",
                f"{numbers['nll']:.3f}",
                f"{numbers['answered']:.1%}",
                f"{numbers['answered_error']:.2%}",
            ]
        )
    return text_table([header, *cells], emphasise=style.bold)
