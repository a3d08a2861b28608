"""Training in the finished page, on the digits of MNIST that it holds."""

import re
import time

import pytest
from sheet import draw
from strokes import STROKES

from mnist_mlp.data.sources import load
from mnist_mlp.extras.demo.build import build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mnist_html(trained):
    return build(trained, load(trained.config.data)).html


def test_the_page_of_the_usual_network_is_below_2_megabytes(mnist_html):
    assert len(mnist_html.encode()) < 2e6


def accuracy(page):
    words = page.locator("#progress").inner_text()
    found = re.search(r"right on (> )?([\d.]+) %", words)
    return float(found[2]) if found else 0.0


def test_the_page_trains_a_network_to_93_percent_and_stays_awake(open_page, mnist_html, record_property):
    page = open_page(mnist_html)
    draw(page, STROKES["3"])
    page.locator("#train").click()
    began, reached = time.monotonic(), 0.0
    while reached < 93 and time.monotonic() - began < 120:
        page.wait_for_timeout(200)
        reached = accuracy(page)
    seconds = time.monotonic() - began
    record_property("seconds to 93 %", round(seconds, 1))
    print(f"93 % after {seconds:.1f} s: {page.locator('#progress').inner_text()}")
    assert reached >= 93  # within 20 s where the machine does nothing else
    assert re.match(r"It takes your drawing for \d", page.locator("#fresh-words").inner_text())
    page.locator("#train").click()
    paused = page.locator("#progress").inner_text()
    page.wait_for_timeout(300)
    assert page.locator("#progress").inner_text() == paused


@pytest.mark.parametrize("rate", ["too small", "too big"])
def test_a_wrong_learning_rate_leads_nowhere(rate, open_page, mnist_html):
    page = open_page(mnist_html)
    page.get_by_label(rate).check()
    page.locator("#speed").fill("3")  # at full speed a fast machine makes a thousand steps between two looks
    page.locator("#train").click()
    page.wait_for_selector("#progress:has-text('step 1')")
    for _ in range(200):
        page.wait_for_timeout(100)
        step = int(re.search(r"step ([\d,]+)", page.locator("#progress").inner_text())[1].replace(",", ""))
        if step > 110:
            break
    assert 110 < step < 400 and accuracy(page) < 60


def test_slow_is_two_steps_a_second(page):
    page.locator("#speed").fill("0")
    page.locator("#train").click()
    page.wait_for_selector("#progress:has-text('step 1')")
    began = time.monotonic()
    page.wait_for_selector("#progress:has-text('step 4')")
    assert time.monotonic() - began > 1.2


def test_training_goes_on_where_the_clock_has_not_moved_since_it_began(page):
    """Browsers round the time; at the highest pace, no time multiplied by it would be no number."""
    page.evaluate("""() => {
        const clock = performance.now.bind(performance);
        const began = clock();
        let asked = 0;
        performance.now = () => (asked++ < 2 ? began : clock());
    }""")
    page.locator("#speed").fill(page.locator("#speed").get_attribute("max"))
    page.locator("#train").click()
    page.wait_for_selector("#progress:has-text('step 1')", timeout=5_000)
