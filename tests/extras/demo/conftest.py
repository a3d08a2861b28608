"""The finished page in a real browser, from a file, with the network switched off."""

import os
import shutil
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import untrained_network as untrained
from helpers.data_sets import synthetic

from mnist_mlp.extras.demo import description
from mnist_mlp.extras.demo.build import build
from mnist_mlp.extras.inference.predictor import Predictor

# Pages of different networks hold the same images to learn from, and to pack them is most of what a page costs.
description.zlib = SimpleNamespace(compress=lru_cache(maxsize=4)(description.zlib.compress))

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "google-chrome", "chrome")) if path), None)


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        if CHROMIUM is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium on PATH and none of playwright's own")
        options = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens HTML offline; afterwards there must have been neither a request nor a word on the console."""
    contexts, complaints = [], []

    def open_page(html, **options):
        path = tmp_path / "demo.html"
        path.write_text(html, encoding="utf-8")
        context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        assert complaints == [path.as_uri()]
        complaints.clear()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [words for words in complaints if not words.startswith(("data:", "blob:"))] == []


@pytest.fixture(scope="session")
def predictor(tmp_path_factory):
    return untrained.predictor(tmp_path_factory.mktemp("untrained"), "model.hidden=[128,64]")


@pytest.fixture(scope="session")
def html(predictor):
    return build(predictor, synthetic()).html


@pytest.fixture
def page(open_page, html):
    return open_page(html)


@pytest.fixture(scope="session")
def trained(default_run):
    """A network that has seen handwriting."""
    return Predictor.load(default_run)
