"""A trained network as one HTML file that needs nothing else: no server, no network, no other file.

The page's parts lie beside this file. The modules of `handwriting` that find digits are ported, each to an .mjs file of
its name. Functions have the same names and results, and may work in another way: `label` in connected_components.mjs is
a flood fill, in Python a union of runs of pixels.
The tests hold both to the same answers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from mnist_mlp.config.commands import TrainedConfig
from mnist_mlp.data.dataset import Dataset
from mnist_mlp.extras.demo.description import describe
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.runs.chosen_checkpoint import chosen
from mnist_mlp.runs.directories import shown

PARTS = Path(__file__).parent
STYLES = ("colours", "style", "teaching")
MODULES = (  # each after what it imports
    *("resampling", "picture", "ink_map", "connected_components", "text_regions", "mnist_format", "touching_digits"),
    "segmentation",
    *("activations", "layers", "decision", "network", "training", "lesson"),
    *("dom", "wording", "charts", "drawing", "pad", "answer", "samples", "round", "steps", "diagram", "unit"),
    *("learning", "main"),
)


def demo(config: TrainedConfig, directory: Path) -> str:
    """Write the page to `directory`; returns where it lies and how well it agrees.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        DataError: the images cannot be had.
        ExportError: the page cannot show this network, or would answer otherwise.
    """
    predictor = Predictor.load(chosen(config.checkpoint)[0])
    built = build(predictor, predictor.data_set(config.data_dir))
    target = directory / "demo.html"
    target.write_text(built.html, encoding="utf-8")
    return "\n".join(
        [
            f"network          {predictor.described(newest=config.checkpoint is None)}",
            f"page             {shown(target)}   {target.stat().st_size / 1e3:,.0f} kB",
            f"                 on the test images its probabilities differ from the network's by at most "
            f"{built.difference:.1e}",
            "next             open it in a browser",
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Page:
    html: str
    difference: float
    """The largest by which a probability of the page differs from the network's, over the official test images."""


def build(predictor: Predictor, dataset: Dataset) -> Page:
    """The whole page.

    Raises:
        ExportError: the page cannot show this network, or would answer otherwise.
    """
    description, difference = describe(predictor, dataset)
    # The policy in the page's head lets the browser run these two texts, and no other.
    texts = {"style": "\n".join(_read(f"{name}.css") for name in STYLES), "script": script()}
    parts = {
        **texts,
        **{f"{name}_hash": _hash(text) for name, text in texts.items()},
        "network": json.dumps(description).replace("<", r"\u003c"),  # no tag may end the script that holds it
    }
    html = re.sub(r"{{ (\w+) }}", lambda match: parts[match[1]], _read("page.html"))
    return Page(html=html, difference=difference)


def script() -> str:
    """The modules one after another, as one: a page that is opened from a disk may not import its own."""
    joined = "\n".join(_read(f"{name}.mjs") for name in MODULES)
    return re.sub(r"^import [^;]*;\n|^export ", "", joined, flags=re.MULTILINE)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(part: str) -> str:
    return (PARTS / part).read_text(encoding="utf-8")
