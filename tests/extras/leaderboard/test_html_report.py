"""The page of a leaderboard: whole in itself, well formed, drawn from any set of runs, and answering to a pointer."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from helpers.fake_run import ran

from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.html_report import write_report
from mnist_mlp.extras.leaderboard.leaderboard import compared
from mnist_mlp.extras.leaderboard.scale import Scale
from mnist_mlp.extras.leaderboard.sweep_report import sweep_report
from mnist_mlp.runs.result import RESULT_METRICS


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


def all_equal(accuracy: float, loss: float, epochs: int) -> Callable[[Path], None]:
    def runs_of(place: Path) -> None:
        row = {"train/loss": loss, "train/acc": accuracy, "val/loss": loss, "val/acc": accuracy, "lr": 0.1}
        history = [{"epoch": epoch, "seconds": 0.0, **row} for epoch in range(epochs)]
        seconds = dict.fromkeys(("setup", "fit", "test", "total"), 0.0)
        for number in range(4):
            name, more = f"model.hidden=[{1 + number // 2}]", {"history": history, "seconds": seconds}
            ran(place / str(number), name, accuracy=accuracy, seed=number % 2, **more)

    return runs_of


DEGENERATE = [all_equal(1.0, 0.0, 3), all_equal(0.0, 0.5, 1), all_equal(1.0, 0.5, 0)]


SLOW = (pytest.param(runs_of, marks=pytest.mark.slow) for runs_of in (two_data_sets, *DEGENERATE[1:]))


def test_a_page_says_how_many_rows_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_mlp.extras.leaderboard.html_report.ROWS", 2)
    for number in range(5):
        ran(tmp_path / str(number), f"optimizer.lr=0.00{number + 1}", accuracy=0.9)
        ran(tmp_path / f"failed-{number}", accuracy=None, status="failed")
        ran(tmp_path / f"unvalidated-{number}", accuracy=None)
    page = written(tmp_path)
    assert "Not ranked: 5" in page and "Not completed: 5" in page
    for rows in ("entries", "runs"):
        assert f"The first 2 {rows}; compare.py --csv and --json write the 3 others too." in page


@pytest.mark.parametrize("runs_of", [sweep, one_run, only_failures, DEGENERATE[0], *SLOW])
def test_a_page_fetches_nothing_and_its_plots_are_well_formed(tmp_path: Path, runs_of: Callable[[Path], None]) -> None:
    runs_of(tmp_path)
    page = written(tmp_path)
    assert not re.search(r"(src|href)=.?(https?:|//)|@import|url\((?!#)|<script>alert", page)
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


def test_an_entry_has_one_colour_in_the_table_and_in_every_plot(tmp_path: Path) -> None:
    sweep(tmp_path)
    page = written(tmp_path)
    for rank in range(4):
        (in_table,) = re.findall(rf'data-entry="0-{rank}"><td data-value="{rank}"><span[^>]*background:(#\w+)', page)
        marks = re.findall(rf'<g data-entry="0-{rank}"(.*?)</g>', page, re.DOTALL)
        assert len(marks) == 6  # two curves, two panels, all settings, time
        assert all(in_table in mark for mark in marks)


def test_runs_without_accuracy_have_curves_of_what_ranks_them(tmp_path: Path) -> None:
    words = ("metrics=[f1]", "checkpoint.monitor=val/f1")
    history = [{"epoch": epoch, "train/loss": 0.4, "val/f1": 0.9, "seconds": 1.0} for epoch in range(3)]
    metrics = {**dict.fromkeys(RESULT_METRICS), "val/loss": 0.5, "val/f1": 0.9}
    ran(tmp_path / "0", *words, accuracy=None, metrics=metrics, history=history)
    page = written(tmp_path)
    curves = page[page.index('aria-label="val f1 %"') :].partition("</svg>")[0]
    assert '<g data-entry="0-0"' in curves
    assert "validation error" not in page


def test_links_lead_to_the_directories_of_the_runs(tmp_path: Path) -> None:
    ran(tmp_path / "a sweep" / "lr=0.1,#1 & more", accuracy=0.98)
    page = written(tmp_path)
    links = {unquote(unescape(link)) for link in re.findall(r' href="([^"]+)"', page)}
    assert links == {"a sweep/lr=0.1,#1 & more/"}


def test_a_checkpoint_is_named_if_the_best_run_has_kept_it(tmp_path: Path) -> None:
    one_run(tmp_path / "thinned")
    assert "checkpoint=" not in written(tmp_path / "thinned")
    one_run(tmp_path / "whole")
    (tmp_path / "whole" / "0" / "checkpoints").mkdir()
    (tmp_path / "whole" / "0" / "checkpoints" / "best.ckpt").touch()
    assert "whole/0/checkpoints/best.ckpt" in written(tmp_path / "whole")


@pytest.mark.slow
def test_of_many_entries_some_are_drawn_and_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_mlp.extras.leaderboard.plots.DRAWN", 4)
    for number in range(16):
        ran(tmp_path / str(number), f"optimizer.lr=0.{number + 1:03}", accuracy=0.7 + number / 1e3)
    page = written(tmp_path)
    drawn = set(re.findall(r'<g data-entry="0-(\d+)"', page))
    assert drawn == {*map(str, range(8)), "10", "15"}  # the coloured ones, and 0, 5, 10, 15
    note = "6 of the entries below the coloured ones are not drawn"
    assert page.count(note) == page.count("<h2>Learning curves") + page.count("<h2>By setting") + page.count(
        "<h2>Against"
    )


@pytest.mark.slow
def test_a_sweep_names_its_page_or_why_there_is_none(tmp_path: Path) -> None:
    one_run(tmp_path)
    page = tmp_path / "report.html"
    assert sweep_report(find([tmp_path]), tmp_path).endswith(f"report           {page}")
    assert "<h2>Leaderboard</h2>" in page.read_text()
    page.unlink()
    page.mkdir()
    assert "report           not written: " in sweep_report(find([tmp_path]), tmp_path)


def test_numbers_are_placed_by_magnitude_where_they_span_it_and_words_in_turn() -> None:
    assert [Scale([0.001, 0.01, 0.1]).of(value) for value in (0.001, 0.01, 0.1)] == pytest.approx([0, 0.5, 1])
    assert [Scale([1, 2, 3]).of(value) for value in (1, 2, 3)] == pytest.approx([0, 0.5, 1])
    assert [Scale(["b", "a", "c"]).of(value) for value in "bac"] == pytest.approx([0, 0.5, 1])
    assert [place for place, _ in Scale([1, 1.0, 2]).ticks] == pytest.approx([0, 0.5, 1])
    assert [Scale([0.9, "–", 0.5]).of(value) for value in (0.5, 0.9, "–")] == pytest.approx([0, 0.5, 1])
    assert [Scale([[128], [16]]).of(value) for value in ([16], [128])] == pytest.approx([0, 1])


def test_ticks_of_many_values_keep_their_distance() -> None:
    places = [place for place, _ in Scale([1e-4 * 1.05**power for power in range(100)]).ticks]
    assert places[0] == 0 and places[-1] == 1
    assert min(right - left for left, right in pairwise(places)) > 0.16


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as engine:
        if chromium is None and not Path(engine.chromium.executable_path).exists():
            pytest.skip("no Chromium on this machine")
        started = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.slow
def test_a_click_on_a_head_sorts_and_a_pointer_shows_settings_on_a_phone_too(tmp_path: Path, browser: Any) -> None:
    sweep(tmp_path)
    written(tmp_path)
    page = browser.new_page(viewport={"width": 360, "height": 740})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((tmp_path / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

    def ranks() -> list[str]:
        return [text.strip() for text in page.locator("tbody tr td:first-child").all_inner_texts()[:4]]

    page.get_by_role("button", name="optimizer.lr").click()
    assert ranks() == ["2", "4", "1", "3"]  # 0.001 before 0.01, equal ones as they were
    page.get_by_role("button", name="optimizer.lr").click()
    assert ranks() == ["1", "3", "2", "4"]
    mark = page.locator('svg [data-entry="0-2"] use').last
    mark.scroll_into_view_if_needed()
    page.evaluate("new Promise((done) => setTimeout(done, 100))")  # a scroll hides what a pointer showed before
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    assert page.locator(".tip").inner_text().splitlines() == [
        "rank 3: val/acc 91.00 ± 0.00%, 2 seeds",
        "model.loss nll",
        "optimizer.lr 0.01",
    ]
    assert page.locator('tr[data-entry="0-2"].chosen').count() == 1
    assert problems == []
