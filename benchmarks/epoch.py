"""Seconds of an epoch: ours, a loop written by hand, the same compiled, JAX, and the matrix products alone; in turn.

`PYTHONPATH=src python benchmarks/epoch.py` writes results/epoch.md and, with `--scaling`, the plot results/scaling.png:
seconds by batch size, number of images, and width. `--with affine` and the like compare with a loop that does the same.

Ours has everything on: TensorBoard, progress bar (on a terminal made for it), checkpoints, validation. The loop is
what one would write by hand: images normalised once and kept as float tensors, a minibatch by index, the fused AdamW,
the mean loss, and validation after the epoch. *Compiled* is that loop with forward pass and loss under `torch.compile`,
its first epoch left out. *JAX* is the whole epoch compiled, the images in memory, with AdamW and validation, in a
process of its own. All use the same number of threads.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands set it, before torch is imported

import peers
import report

from mnist_mlp.config.compose import composed
from mnist_mlp.config.schema import Config
from mnist_mlp.training import train

EPOCHS = 3
KINDS = {
    "dropout": ["model.dropout=0.2"],
    "affine": ["augment=affine"],
    "elastic": ["augment=elastic"],
    "cnn": ["model=cnn"],
}
"""Overrides with which `engine/hand_written_step.py` has more to do, or leaves the step to autograd."""
ALL = ("ours", "by hand", "compiled", "JAX", "products")


def configuration(*overrides: str) -> Config:
    return composed(f"trainer.max_epochs={EPOCHS}", "augment=none", *overrides)


@contextmanager
def terminal() -> Iterator[None]:
    """Standard error is a terminal, so that the progress bar is drawn; what it shows is read and thrown away."""
    screen, keyboard = os.openpty()
    threading.Thread(target=_drain, args=(screen,), daemon=True).start()
    before = sys.stderr
    with os.fdopen(keyboard, "w") as sys.stderr:
        try:
            yield
        finally:
            sys.stderr = before


def _drain(screen: int) -> None:
    try:
        while os.read(screen, 65_536):
            pass
    except OSError:  # the other end is closed
        os.close(screen)


def ours(config: Config) -> list[float]:
    """Seconds of each epoch, as result.json has them."""
    with tempfile.TemporaryDirectory() as folder, terminal():
        return [row["seconds"] for row in train(config, Path(folder)).history]


def compare(*overrides: str, rounds: int, names: tuple[str, ...] = ALL) -> dict[str, float]:
    """Median seconds of an epoch of each of these, where it is installed and trains such a network."""
    config = configuration(*overrides)
    plain = config.model.name == "mlp" and not config.model.dropout and not config.augment.shift
    by_hand = peers.ByHand(config)
    measured: dict[str, peers.Peer] = {"ours": lambda _: ours(config), "by hand": by_hand}
    if "compiled" in names and peers.has_compiler():
        compiled = peers.ByHand(config, compiled=True)
        compiled(1)
        measured["compiled"] = lambda epochs: compiled(epochs + 1)[1:]
    jax = None
    if "JAX" in names and plain and peers.has_jax():
        jax = measured["JAX"] = peers.Jax(
            batch_size=config.data.batch_size, threads=peers.threads(config), hidden=config.model.hidden
        )
    if "products" in names and config.model.name == "mlp":
        measured["products"] = peers.products(config, len(by_hand.train[0]))
    seconds: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, peer in measured.items():
            seconds[name] += peer(EPOCHS)
    if jax:
        jax.close()
    return {name: statistics.median(kept) for name, kept in seconds.items()}


def row(first: object, seconds: dict[str, float]) -> tuple[object, ...]:
    others = [name for name in ALL if name != "ours"]
    quotients = [seconds["ours"] / seconds[name] if name in seconds else "" for name in others]
    return (first, *(seconds.get(name, "") for name in ALL), *quotients)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 128, 256, 1024])
    arguments.add_argument("--with", dest="kinds", nargs="*", choices=KINDS, default=[], help="compare these instead")
    arguments.add_argument("--only", nargs="+", choices=ALL, default=ALL)
    arguments.add_argument("--scaling", action="store_true", help="also the plot")
    given = arguments.parse_args()
    logging.disable(logging.INFO)
    rows = []
    for kind in given.kinds or [""]:
        for batch in given.batch_sizes:
            words = KINDS.get(kind, [])
            seconds = compare(f"data.batch_size={batch}", *words, rounds=given.rounds, names=tuple(given.only))
            rows.append(row(f"{batch} {kind}".strip(), seconds))
            print(*rows[-1], flush=True)
    head = ("batch", *(f"{name} (s)" for name in ALL), *(f"ours / {name}" for name in ALL[1:]))
    text = f"55,000 training and 5,000 validation images; medians of {given.rounds * EPOCHS} epochs."
    network = "784-128-64-10; " if not given.kinds else ""
    name = "epoch" if not given.kinds else "epoch_with"
    report.write(name, "Seconds of an epoch", network + text, report.table(head, rows), __doc__.split("\n\n")[2])
    if given.scaling:
        scaling(given.rounds)


def scaling(rounds: int) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes, batches, widths = (32, 64, 128, 256, 512, 1024), (53, 107, 214, 429), (32, 128, 512, 1024)
    by_size = [compare(f"data.batch_size={n}", rounds=rounds) for n in sizes]
    some = ("ours", "by hand", "products")
    by_images = [
        compare("data.batch_size=128", f"trainer.limit_train_batches={n}", rounds=rounds, names=some) for n in batches
    ]
    by_width = [
        compare("data.batch_size=128", f"model.hidden=[{n},{n // 2}]", rounds=rounds, names=some) for n in widths
    ]
    figure, all_axes = pyplot.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    for axes, places, measured, label in zip(
        all_axes,
        (sizes, [128 * n for n in batches], widths),
        (by_size, by_images, by_width),
        ("batch size", "training images", "width of the first hidden layer (the second is half)"),
        strict=True,
    ):
        for name in measured[0]:
            axes.loglog(places, [seconds[name] for seconds in measured], marker="o", label=name)
        axes.set(xlabel=label, ylabel="seconds of an epoch")
        axes.grid(alpha=0.3)
    all_axes[0].legend()
    figure.savefig(report.RESULTS / "scaling.png", dpi=110)


if __name__ == "__main__":
    main()
