"""What a person does on the sheet of the page, and what the page shows to it."""

from __future__ import annotations

import numpy as np


def draw(page, strokes, left=0.0, scale=1.0):
    """Draw with events like those of a mouse, all in one call; `left` and `scale` in shares of the sheet."""
    placed = [[(left + scale * x, 0.5 + scale * (y - 0.5)) for x, y in stroke] for stroke in strokes]
    page.locator("#sheet").scroll_into_view_if_needed()
    page.evaluate(
        """(strokes) => {
            const sheet = document.getElementById("sheet");
            const { x, y, width, height } = sheet.getBoundingClientRect();
            for (const points of strokes) {
                const tell = (name, [across, down], buttons) => sheet.dispatchEvent(new PointerEvent(name, {
                    pointerId: 1, pointerType: "mouse", isPrimary: true, bubbles: true, cancelable: true, buttons,
                    clientX: x + across * width, clientY: y + down * height,
                }));
                tell("pointerdown", points[0], 1);
                points.slice(1).forEach((point) => tell("pointermove", point, 1));
                tell("pointerup", points[points.length - 1], 0);
            }
        }""",
        placed,
    )


def draw_with_the_mouse(page, strokes):
    page.locator("#sheet").scroll_into_view_if_needed()
    frame = page.locator("#sheet").bounding_box()
    for stroke in strokes:
        points = [(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def tap(page, x, y):
    frame = page.locator("#sheet").bounding_box()
    page.mouse.click(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])


def wait_until_shown(page):
    """Wait for two frames: the page answers in the first. After a change of its size Chromium may draw none."""
    frames = "requestAnimationFrame(() => requestAnimationFrame(done))"
    page.evaluate(f"new Promise((done) => {{ setTimeout(done, 5000); {frames}; }})")


def said(page):
    """What the page says once it has shown it."""
    wait_until_shown(page)
    return page.locator("#words").inner_text()


def seen(page):
    """The picture that the network is shown to see, as grey levels from paper to ink: (28, 28) in [0, 1]."""
    wait_until_shown(page)
    pixels = page.evaluate("[...document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data]")
    red = np.array(pixels, float).reshape(28, 28, 4)[..., 0]
    style = "getComputedStyle(document.documentElement).getPropertyValue('--{}').slice(1, 3)"
    paper, ink = (int(page.evaluate(style.format(name)), 16) for name in ("paper", "ink"))
    return (red - paper) / (ink - paper)
