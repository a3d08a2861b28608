"""The documentation tells the truth: its numbers, its links, its commands."""

from __future__ import annotations

import re
from pathlib import Path

import figures
import pytest
import torch

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


def test_the_backpropagation_picture_shows_autograds_numbers() -> None:
    x = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    z = torch.tensor([[0.8, -0.4], [0.3, 0.9]], dtype=torch.float64) @ x + torch.tensor(
        [0.1, -0.2], dtype=torch.float64
    )
    h = z.sigmoid()
    y = torch.tensor([1.5, -0.7], dtype=torch.float64) @ h + 0.2
    loss = (y - 1) ** 2
    nodes = [x, z, h, y, loss]
    gradients = torch.autograd.grad(loss, nodes)
    by_hand = figures.graph_by_hand()
    for value, gradient, (name, _, ours, our_gradient) in zip(nodes, gradients, by_hand, strict=True):
        torch.testing.assert_close(ours, value.detach(), msg=name)
        torch.testing.assert_close(our_gradient, gradient, msg=name)


def test_the_logarithm_of_a_probability_is_lost_where_log_softmax_keeps_it() -> None:
    logits = torch.tensor([0.0, 110.0])
    assert logits.softmax(0).log().tolist() == [float("-inf"), 0.0]
    assert logits.log_softmax(0).tolist() == [-110.0, 0.0]
