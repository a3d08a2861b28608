"""The page of a comparison: whole in itself, well formed, and drawn from any set of runs."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.fake_run import ran

from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.html_report import write_report
from mnist_mlp.extras.leaderboard.leaderboard import compared
from mnist_mlp.extras.leaderboard.plots import Scale


def written(place: Path) -> str:
    write_report(compared(find([place])), place / "report.html")
    return (place / "report.html").read_text()


def sweep(place: Path) -> None:
    for number, (loss, lr) in enumerate((loss, lr) for loss in ("nll", "mse") for lr in ("1e-3", "1e-2")):
        for seed in range(2):
            name = str(2 * number + seed)
            ran(place / name, f"model.loss={loss}", f"optimizer.lr={lr}", accuracy=0.9 + number / 100, seed=seed)
    ran(place / "9", accuracy=None, status="failed", error="<script>alert(1)</script>")


def one_run(place: Path) -> None:
    ran(place / "0", accuracy=1.0)


def only_failures(place: Path) -> None:
    ran(place / "0", accuracy=None, status="failed", error="nan")


def two_data_sets(place: Path) -> None:
    ran(place / "0", accuracy=0.97)
    ran(place / "1", "data=fashion_mnist", accuracy=0.98)


@pytest.mark.parametrize("runs_of", [sweep, one_run, only_failures, two_data_sets])
def test_a_page_fetches_nothing_and_its_plots_are_well_formed(tmp_path: Path, runs_of) -> None:  # type: ignore[no-untyped-def]
    runs_of(tmp_path)
    page = written(tmp_path)
    assert not re.search(r"(src|href)=.?(https?:|//)|@import|url\((?!#)|<script", page)
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg if "xmlns:xlink" in svg else svg.replace("<svg", "<svg xmlns:xlink='x'", 1))
    HTMLParser().feed(page)


def test_each_data_set_has_a_title_and_a_leaderboard_of_its_own(tmp_path: Path) -> None:
    two_data_sets(tmp_path)
    page = written(tmp_path)
    assert re.findall(r"<h1>(.*?)</h1>", page) == ["98.00% on validation", "97.00% on validation"]
    assert re.findall(r"on (\w+)</p>", page) == ["fashion_mnist", "mnist"]
    assert page.count("<h2>Leaderboard</h2>") == 2


def test_ink_is_that_of_the_page_so_that_it_shows_on_light_and_on_dark(tmp_path: Path) -> None:
    sweep(tmp_path)
    page = written(tmp_path)
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    fixed = {value for svg in plots for value in re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg)}
    assert not fixed & {"#000000", "#ffffff", "#010203", "#040506"}
    assert "prefers-color-scheme: dark" in page


def test_numbers_are_placed_by_magnitude_where_they_span_it_and_words_in_turn() -> None:
    assert [Scale([0.001, 0.01, 0.1]).of(value) for value in (0.001, 0.01, 0.1)] == pytest.approx([0, 0.5, 1])
    assert [Scale([1, 2, 3]).of(value) for value in (1, 2, 3)] == pytest.approx([0, 0.5, 1])
    assert [Scale(["b", "a", "c"]).of(value) for value in "bac"] == pytest.approx([0, 0.5, 1])
    assert [Scale([[128], [16]]).of(value) for value in ([16], [128])] == pytest.approx([0, 1])
