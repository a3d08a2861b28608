"""The documentation tells the truth: its numbers, its links, its commands."""

from __future__ import annotations

import re
from pathlib import Path

import figures
import pytest
import torch
from torch import Tensor

from mnist_mlp.config.schema import PROJECT

PAGES = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.extras
def test_what_the_page_for_assistants_names_is_there() -> None:
    """Files and folders, commands, targets of the Makefile, and the tables that get an entry."""
    page = (PROJECT / "AGENTS.md").read_text()
    paths = set(re.findall(r"(?<![\w/])((?:src|configs|tests|docs|benchmarks)/[\w./-]*\w/?)", page))
    assert len(paths) > 20
    assert [path for path in sorted(paths) if not (PROJECT / path).exists()] == []
    for table, path in re.findall(r"`(\w+)`: `(src/[\w/]+\.py)`", page):
        assert re.search(rf"^(class )?{table}\b", (PROJECT / path).read_text(), re.MULTILINE), (table, path)
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    used = re.findall(r"(?:^|`)make ([a-z -]+?)(?:`|  |$)", page, re.MULTILINE)
    assert {word for words in used for word in words.split()} <= targets
    for group, option in re.findall(r" (experiment|data)=(\w+)", page):
        assert (PROJECT / "configs" / group / f"{option}.yaml").exists()


def backpropagated() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Values and autograd's gradients of the network in the backpropagation picture, by name."""
    given = {"x": [0.5, -1.0], "W₁": [[0.8, -0.4], [0.3, 0.9]], "b₁": [0.1, -0.2], "W₂": [1.5, -0.7], "b₂": 0.2}
    v = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in given.items()}
    v["z"] = v["W₁"] @ v["x"] + v["b₁"]
    v["h"] = v["z"].sigmoid()
    v["y"] = v["W₂"] @ v["h"] + v["b₂"]
    v["ℓ"] = (v["y"] - 1) ** 2
    gradients = torch.autograd.grad(v["ℓ"], list(v.values()))
    return {name: value.detach() for name, value in v.items()}, dict(zip(v, gradients, strict=True))


def test_the_backpropagation_picture_shows_autograds_numbers() -> None:
    values, gradients = backpropagated()
    for name, (box, _, ours, our_gradient) in zip("xzhyℓ", figures.graph_by_hand(), strict=True):
        torch.testing.assert_close(ours, values[name], msg=box)
        torch.testing.assert_close(our_gradient, gradients[name], msg=box)


def as_written(numbers: Tensor) -> list[str]:
    """A scalar, a vector or the rows of a matrix as the table of learning.md writes them."""
    if numbers.ndim == 2:
        return [written for row in numbers for written in as_written(row)]
    rounded = ", ".join(f"{number:.3f}" for number in numbers.flatten().tolist()).replace("-", "−")
    return [f"({rounded})" if numbers.ndim else rounded]


def test_the_backpropagation_table_shows_autograds_numbers() -> None:
    values, gradients = backpropagated()
    page = (PROJECT / "docs" / "learning.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([xzhyWb₁₂, ]+) \| (.*) \|$", page, re.MULTILINE))
    found = {name: cells for names, cells in rows.items() for name in names.split(", ")}
    assert found.keys() == values.keys() - {"ℓ"}
    for name, cells in found.items():
        for written in as_written(gradients[name]):
            assert written in cells.split(" | ")[1], name
    assert as_written(values["h"])[0] in found["W₂"]
    assert as_written(values["h"] * (1 - values["h"]))[0] in found["z"]


def test_the_logarithm_of_a_probability_is_lost_where_log_softmax_keeps_it() -> None:
    logits = torch.tensor([0.0, 110.0])
    assert logits.softmax(0).log().tolist() == [float("-inf"), 0.0]
    assert logits.log_softmax(0).tolist() == [-110.0, 0.0]
