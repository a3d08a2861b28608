"""The page of an evaluation: numbers, pictures and the worst mistakes in one file that a browser opens offline."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from mnist_mlp.extras.evaluation.ensemble import COMMITTEE, NetworkPredictions
from mnist_mlp.extras.evaluation.metrics import worst_mistakes
from mnist_mlp.extras.evaluation.mistakes_picture import Images, as_picture, sureness
from mnist_mlp.extras.evaluation.tables import (
    CLASSES,
    PAIRS,
    SPLITS,
    SUMMARY,
    class_rows,
    comparison,
    confused_pairs,
    summary_rows,
)
from mnist_mlp.extras.html_page import page, scrollable, section
from mnist_mlp.runs.directories import shown

PAGE = "report.html"
MISTAKES = 24
PICTURES = {
    "confusion.png": "Confusion matrix: rows are the true class, columns the network's guess",
    "reliability.png": "Reliability: how often guesses of each confidence are right",
    "risk_coverage.png": "Risk–coverage curve: the error rate if only the most confident share is answered",
}
STYLE = """
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.2rem; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; overflow-wrap: anywhere; }
img { width: 100%; height: auto; display: block; background: #fff; border-radius: .3rem; }
.alone img { max-width: 50rem; } .narrow { max-width: 26rem; }
.mistakes img { image-rendering: pixelated; border-radius: 0; }
"""


def write_page(
    directory: Path,
    content: dict[str, Any],
    predictions: Sequence[NetworkPredictions],
    folders: Sequence[Path],
    images: Images,
) -> None:
    """Write report.html beside metrics.json, whose `content` it shows; the pictures of each network are in a folder."""
    networks = content.get("networks", [content])
    names = content["class_names"]
    subtitle = f"{content['images']:,} images of {content['data']}, {SPLITS[content['split']]}"
    *members, last = networks
    title = f"{last['accuracy']:.2%} right, {last['mistakes']:,} of {content['images']:,} wrong"
    if members and last["name"] != COMMITTEE:
        title = ", ".join(f"{network['name']}: {network['accuracy']:.2%} right" for network in networks)
    parts = [f"<h1>{title}</h1>", f'<p class="faint">{escape(subtitle)}</p>']
    parts += [f"<p>{escape(str(shown(Path(place))))}</p>" for place in content["checkpoints"]]
    compared = f"<p>{escape(comparison(content['mcnemar']))}</p>" if "mcnemar" in content else ""
    parts.append(section("Numbers", _numbers(networks) + compared))
    for network, each, folder in zip(networks, predictions, folders, strict=True):
        heading_suffix = "" if len(networks) == 1 else f": {network['name']}"
        parts += _of_network(network, each, folder, names, images, heading_suffix)
    if "robust" in content:
        source = _embedded((directory / "robust.png").read_bytes())
        picture = f'<img src="{source}" alt="Images under each corruption, and the accuracy">'
        parts.append(section("Robustness", f'<div class="alone">{picture}</div>'))
    (directory / PAGE).write_text(page(title, parts, style=STYLE), encoding="utf-8")


def _of_network(
    network: dict[str, Any],
    predictions: NetworkPredictions,
    folder: Path,
    names: Sequence[str],
    images: Images,
    heading_suffix: str,
) -> Iterator[str]:
    predicted = predictions.calibrated
    worst = worst_mistakes(predicted, MISTAKES)
    if len(worst):
        heading = f"The {len(worst)} worst of {network['mistakes']:,} mistakes{heading_suffix}"
        if len(worst) == network["mistakes"]:
            heading = (
                f"All {len(worst)} mistakes{heading_suffix}" if len(worst) > 1 else f"The only mistake{heading_suffix}"
            )
        figures = [
            _mistake(
                images[index],
                index,
                names[predicted.labels[index]],
                names[predicted.guesses[index]],
                predicted.confidences[index],
            )
            for index in worst
        ]
        note = "Those with the least probability of the true class first."
        yield section(heading, f'<div class="mistakes">{"".join(figures)}</div>', note)
    else:
        yield section(f"No mistakes{heading_suffix}", "")
    found = [
        f'<figure><img src="{_embedded((folder / name).read_bytes())}" alt="{escape(text)}">'
        f"<figcaption>{escape(text)}</figcaption></figure>"
        for name, text in PICTURES.items()
    ]
    yield section(f"Pictures{heading_suffix}", f'<div class="pictures">{"".join(found)}</div>')
    header, *rows = class_rows(network, names)
    table = scrollable(_table(header, rows), f"Classes{heading_suffix}")
    if len(names) > CLASSES:  # the table starts collapsed
        table = f"<details><summary>{len(names):,} classes</summary>{table}</details>"
    yield section(f"Classes{heading_suffix}", table)
    if pairs := confused_pairs(network["confusion"], names, PAIRS):
        rows = [[truth, guess, str(count)] for truth, guess, count in pairs]
        table = f'<div class="narrow">{_table(["true class", "taken for", "times"], rows)}</div>'
        yield section(f"Most frequent mistakes{heading_suffix}", table)


def _mistake(image: Images, index: int, truth: str, guess: str, confidence: float) -> str:
    file = io.BytesIO()
    as_picture(image).save(file, format="PNG")
    text = f"<b>{escape(truth)}</b>, taken for <b>{escape(guess)}</b>"
    text += f'<br><span class="faint">{sureness(confidence)}, image {index}</span>'
    picture = f'<img src="{_embedded(file.getvalue())}" alt="image {index}">'
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"


def _embedded(png: bytes) -> str:
    """The content of a PNG file as an address, so that the page needs no file beside it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _numbers(networks: Sequence[dict[str, Any]]) -> str:
    """The rows of the terminal's table; the last of a network, with calibrated losses, has what it answers."""
    rows = []
    for network in networks:
        *before, last = summary_rows(network)
        rows += [[*row, "", ""] for row in before]
        rows.append([*last, f"{network['answered']['coverage']:.1%}", f"{network['answered']['error']:.2%}"])
    return scrollable(_table(["network", *SUMMARY, "answered", "of these wrong"], rows), "Numbers")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""

    def line(cells: Sequence[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        first, *others = (escape(cell) for cell in cells)
        inner = "".join(f'<{tag} class="number"{scope}>{cell}</{tag}>' for cell in others)
        return f"<tr><{tag}{scope}>{first}</{tag}>{inner}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>"
