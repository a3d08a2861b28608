"""The moving picture of the page to draw on: `python docs/page_pictures.py <demo.html>`, with Playwright and Chromium.

draw.gif shows how digits are drawn and read, for the README's first screen.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
SIZE = {"width": 1280, "height": 800}
SHOWN = (960, 560)  # pixels of the moving picture
SANDBOX = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root
SHORT, LONG = 60, 1_600  # milliseconds: while a stroke is drawn, and once the answer is there


def arc(x: float, y: float, across: float, down: float, start: float, end: float) -> list[tuple[float, float]]:
    """Part of an ellipse, angles in turns: 0 is to the right, 0.25 below."""
    angles = [math.tau * (start + (end - start) * step / 16) for step in range(17)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


DIGITS = {
    "3": [arc(0.47, 0.35, 0.17, 0.15, 0.6, 1.2) + arc(0.47, 0.64, 0.2, 0.16, 0.8, 1.4)],
    "4": [
        [(0.38, 0.2), (0.35, 0.36), (0.32, 0.52), (0.5, 0.51), (0.68, 0.5)],
        [(0.64, 0.22), (0.62, 0.52), (0.6, 0.82)],
    ],
    "7": [[(0.32, 0.24), (0.5, 0.23), (0.66, 0.22), (0.55, 0.5), (0.51, 0.65), (0.47, 0.8)]],
}


def main(html: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SANDBOX)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(html.resolve().as_uri())
        frames: list[tuple[Image.Image, int]] = []
        for digit in DIGITS:
            frames += drawing(page, digit)
            page.locator("#clear").click()
        browser.close()
    stills, durations = zip(*frames, strict=True)
    colours = stills[-1].quantize(
        128, Image.Quantize.FASTOCTREE
    )  # one palette, so that what stays as it is costs nothing
    reduced = [still.quantize(palette=colours, dither=Image.Dither.NONE) for still in stills]
    target = PICTURES / "draw.gif"
    reduced[0].save(target, save_all=True, append_images=reduced[1:], duration=durations, loop=0, optimize=True)
    print(f"{target}   {target.stat().st_size / 1e3:,.0f} kB, {len(reduced)} stills")


def drawing(page: Page, digit: str) -> list[tuple[Image.Image, int]]:
    """The page after every few points of the digit's strokes, each with the milliseconds for which it is shown."""
    sheet = page.locator("#sheet").bounding_box()
    assert sheet is not None
    frames = [(still(page), 300)]
    for stroke in DIGITS[digit]:
        for number, (x, y) in enumerate(stroke):
            page.mouse.move(sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"], steps=2 if number else 1)
            if number == 0:
                page.mouse.down()
            elif number % 2 == 0:
                frames.append((still(page), SHORT))
        page.mouse.up()
    return [*frames, (still(page), LONG)]


def still(page: Page) -> Image.Image:
    page.wait_for_timeout(120)  # until the bars have moved to their new lengths
    whole = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    height = round(SIZE["width"] * SHOWN[1] / SHOWN[0])
    return whole.crop((0, 0, SIZE["width"], height)).resize(SHOWN, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
