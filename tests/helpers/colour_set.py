"""A data set of tiny colour images that a network can learn: each class has a colour of its own, under noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

Arrays = dict[str, np.ndarray]
"""As `data=npz` reads them."""


def colour_set(classes: int = 3, train: int = 12, test: int = 4, shape: tuple[int, int, int] = (3, 8, 6)) -> Arrays:
    """`train` and `test` images of each class, in turn."""
    random = np.random.default_rng(0)
    colours = random.integers(40, 215, size=(classes, shape[0], 1, 1))
    arrays: Arrays = {"class_names": np.array([f"class {label:03}" for label in range(classes)])}
    for part, each in (("train", train), ("test", test)):
        labels = np.tile(np.arange(classes), each)
        images = colours[labels] + random.integers(-40, 40, size=(len(labels), *shape))
        arrays |= {f"{part}_images": images.astype(np.uint8), f"{part}_labels": labels}
    return arrays


def write_npz(path: Path, arrays: Arrays, **changes: np.ndarray | None) -> Path:
    """`changes` replaces arrays, or leaves those out that are None."""
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return path


def write_folder(root: Path, arrays: Arrays, suffix: str = ".png") -> Path:
    """`<root>/<part>/<class name>/<number>.png`"""
    for part in ("train", "test"):
        for number, (image, label) in enumerate(zip(arrays[f"{part}_images"], arrays[f"{part}_labels"], strict=True)):
            folder = root / part / str(arrays["class_names"][label])
            folder.mkdir(parents=True, exist_ok=True)
            pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            Image.fromarray(pixels).save(folder / f"{number:06}{suffix}")
    return root
