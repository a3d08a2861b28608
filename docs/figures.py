"""The pictures of learning.md: `PYTHONPATH=src python docs/figures.py [name ...]`.

All come from real data and real runs, except `approximation` and `backpropagation`, which show made examples.
"""

from __future__ import annotations

import logging
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import lightning as L
import matplotlib
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_mlp.config.compose import composed
from mnist_mlp.config.schema import PROJECT, Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.data.mnist import MNIST
from mnist_mlp.model.networks import MLP, build_network
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train

matplotlib.use("Agg")
from matplotlib import pyplot  # the backend comes first

PICTURES = PROJECT / "docs" / "pictures"
BLUE, ORANGE, GREEN = "#2b6cb0", "#dd6b20", "#2f855a"


def configuration(*overrides: str) -> Config:
    return composed("trainer.enable_progress_bar=false", "trainer.accelerator=cpu", *overrides)


def trained(*overrides: str, watcher: L.Callback | None = None) -> MLP:
    """The network of a whole run, as its best checkpoint has it."""
    with tempfile.TemporaryDirectory() as folder:
        train(configuration("logger=none", *overrides), Path(folder), callbacks=[watcher] if watcher else [])
        return checkpoint_file.network_of(checkpoint_file.read(checkpoint_file.find(Path(folder))))


def test_images() -> tuple[Tensor, Tensor]:
    dataset = MNIST.load_from(PROJECT / "data")
    return torch.from_numpy(dataset.test_images[:, 0]), torch.from_numpy(dataset.test_labels).long()


def save(figure: pyplot.Figure, name: str) -> None:
    figure.savefig(PICTURES / f"{name}.png", dpi=100)
    pyplot.close(figure)


def data() -> None:
    """Four test images of each digit."""
    images, labels = test_images()
    figure, axes = pyplot.subplots(4, 10, figsize=(8, 3.3), layout="constrained")
    for digit in range(10):
        for row, image in enumerate(images[labels == digit][:4]):
            axes[row, digit].imshow(image, cmap="gray_r")
            axes[row, digit].axis("off")
    save(figure, "learning_data")


def approximation() -> None:
    """A curve, and networks with 1, 4 and 16 hidden tanh units fitted to it."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 200)[:, None]
    y = torch.sin(4 * x) + 0.4 * torch.sin(11 * x)
    figure, axes = pyplot.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
    for panel, units in zip(axes, (1, 4, 16), strict=True):
        network = nn.Sequential(nn.Linear(1, units), nn.Tanh(), nn.Linear(units, 1))
        nn.init.uniform_(network[0].weight, -5, 5)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
        for _ in range(4_000):
            loss = F.mse_loss(network(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        panel.plot(x, y, color="0.6", linewidth=4, label="the curve")
        panel.plot(x, network(x).detach(), color=BLUE, label="the network")
        title = f"{units} hidden unit{'s' * (units > 1)} (tanh)\naverage squared gap {loss.item():.4f}"
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("x, the input")
    axes[0].set_ylabel("y, the output")
    axes[0].legend(fontsize=8)
    save(figure, "learning_approximation")


class Path2D(L.Callback):
    """Keeps the weights after every chunk of steps."""

    def __init__(self) -> None:
        self.points: list[Tensor] = []

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._keep(module)

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        self._keep(module)

    def _keep(self, module: L.LightningModule) -> None:
        self.points.append(nn.utils.parameters_to_vector(module.network.parameters()).detach().clone())


LOSSES_SHOWN = (0.13, 0.2, 0.3, 0.5, 1, 2)  # beside the colours
RATES = {"too small: 0.003": "0.003", "right: 0.1": "0.1", "too big: 2": "2"}


def surface() -> None:
    """The loss over the plane in which the good run moved most, and the ways of three runs seen in it.

    The plane is spanned by the first two principal components of that run's weights, about its end (Li et al. 2018,
    "Visualizing the loss landscape of neural nets", sec. 7).
    """
    paths = {}
    for name, rate in RATES.items():
        watcher = Path2D()
        overrides = [
            "augment=none",
            "optimizer=sgd",
            "optimizer.momentum=0",
            f"optimizer.lr={rate}",
            "scheduler=constant",
        ]
        try:
            network = trained(*overrides, "trainer.max_epochs=2", "trainer.log_every_n_steps=10", watcher=watcher)
        except Exception as stopped:  # a rate too big may end the run, which is what the picture is about
            print(f"{name}: {stopped}")
        paths[name] = torch.stack(watcher.points)
        if rate == "0.1":
            shape = network
    end = paths["right: 0.1"][-1]
    _, _, directions = torch.linalg.svd(paths["right: 0.1"] - end, full_matrices=False)
    plane = directions[:2]  # (2, weights)
    seen = {name: (path - end) @ plane.T for name, path in paths.items()}

    images, labels = test_images()
    images, labels = images[:1_000], labels[:1_000]
    main = seen["right: 0.1"]
    low, high = main.min(0).values, main.max(0).values
    margin = 0.6 * (high - low).max()
    axes = [torch.linspace(float(a - margin), float(b + margin), 41) for a, b in zip(low, high, strict=True)]
    losses = torch.empty(41, 41)
    with torch.no_grad():
        for i, down in enumerate(axes[1]):
            for j, across in enumerate(axes[0]):
                nn.utils.vector_to_parameters(end + across * plane[0] + down * plane[1], shape.parameters())
                losses[i, j] = F.cross_entropy(shape(images), labels)

    figure, panels = pyplot.subplots(1, 3, figsize=(10.5, 3.6), sharey=True, layout="constrained")
    for panel, (name, way) in zip(panels, seen.items(), strict=True):
        shown = panel.contourf(axes[0], axes[1], losses.log10(), levels=24, cmap="YlGnBu_r")
        panel.plot(way[:, 0], way[:, 1], color=ORANGE, linewidth=1.5, marker=".", markersize=3)
        panel.plot(*way[0], marker="o", color="white", markeredgecolor="black")
        panel.set(xlim=axes[0][[0, -1]], ylim=axes[1][[0, -1]], xticks=[], yticks=[])
        panel.set_title(f"learning rate {name}", fontsize=10)
        panel.set_xlabel("first direction")
    panels[0].set_ylabel("second direction")
    bar = figure.colorbar(shown, ax=panels, label="loss")
    bar.set_ticks([math.log10(loss) for loss in LOSSES_SHOWN], labels=[f"{loss:g}" for loss in LOSSES_SHOWN])
    save(figure, "learning_surface")


def backpropagation() -> None:
    """The two-layer sigmoid network as a graph, the value and the gradient at each node."""
    steps = graph_by_hand()
    contents = ["two inputs", "two hidden units, sums", "two hidden units, values", "one output", "loss"]
    figure, axes = pyplot.subplots(figsize=(10, 2.9), layout="constrained")
    axes.axis("off")
    axes.set(xlim=(-0.7, len(steps) - 0.3), ylim=(-1.25, 1.35))
    boxes = []
    for place, ((name, formula, value, gradient), what) in enumerate(zip(steps, contents, strict=True)):
        box = axes.text(
            place, 0, name, ha="center", va="center", fontsize=13, bbox={"boxstyle": "round,pad=0.5", "fc": "white"}
        )
        boxes.append(box.get_bbox_patch())
        axes.text(place, 1.15, what, ha="center", fontsize=9, color="0.35")
        axes.text(place, 0.85, formula, ha="center", fontsize=9)
        axes.text(place, 0.55, _numbers(value), ha="center", fontsize=10, color=BLUE)
        axes.text(place, -0.75, _numbers(gradient), ha="center", fontsize=10, color=ORANGE)
    for right in range(1, len(steps)):
        for height, colour, start, end in ((0.1, BLUE, right - 1, right), (-0.1, ORANGE, right, right - 1)):
            # From centre to centre, cut off at the edges of the boxes, whose width only drawing knows.
            cut = {"patchA": boxes[start], "patchB": boxes[end], "shrinkA": 0, "shrinkB": 0}
            arrow = {"arrowstyle": "->", "color": colour, **cut}
            axes.annotate("", (end, height), (start, height), arrowprops=arrow, zorder=4)
    axes.text(-0.6, -1.2, "blue: forward, values", color=BLUE, fontsize=9)
    axes.text(
        1.0, -1.2, "orange: backward, the gradient of the loss with respect to each value", color=ORANGE, fontsize=9
    )
    save(figure, "learning_backpropagation")


def graph_by_hand() -> list[tuple[str, str, Tensor, Tensor]]:
    """Name, formula, value and gradient of each node, the gradients by the chain rule written out."""
    x, target = torch.tensor([0.5, -1.0], dtype=torch.float64), 1.0
    w1 = torch.tensor([[0.8, -0.4], [0.3, 0.9]], dtype=torch.float64)
    b1 = torch.tensor([0.1, -0.2], dtype=torch.float64)
    w2, b2 = torch.tensor([1.5, -0.7], dtype=torch.float64), torch.tensor(0.2, dtype=torch.float64)
    z = w1 @ x + b1
    h = 1 / (1 + torch.exp(-z))
    y = w2 @ h + b2
    loss = (y - target) ** 2
    d_y = 2 * (y - target)
    d_h = d_y * w2
    d_z = d_h * h * (1 - h)
    d_x = w1.T @ d_z
    return [
        ("$x$", "$x$", x, d_x),
        ("$z$", "$z = W_1 x + b_1$", z, d_z),
        ("$h$", "$h = 1 / (1 + e^{-z})$", h, d_h),
        ("$y$", "$y = W_2 h + b_2$", y, d_y),
        (r"$\ell$", r"$\ell = (y - 1)^2$", loss, torch.ones((), dtype=torch.float64)),
    ]


def _numbers(values: Tensor) -> str:
    return ", ".join(f"{value:.3f}".replace("-", "−") for value in values.flatten().tolist())


def vanishing() -> None:
    """The size of the gradient in each layer of a deep network before training, sigmoid against ReLU."""
    images, labels = test_images()
    figure, axes = pyplot.subplots(figsize=(6.5, 3), layout="constrained")
    for activation, colour in (("sigmoid", ORANGE), ("relu", BLUE)):
        torch.manual_seed(0)
        config = configuration("model.hidden=[64,64,64,64,64,64,64,64]", f"model.activation={activation}")
        network = build_network(config.model, DigitsDataModule(config).spec)
        F.cross_entropy(network(images[:512]), labels[:512]).backward()
        sizes = [float(layer.weight.grad.norm()) for layer in network.layers if isinstance(layer, nn.Linear)]
        axes.semilogy(range(1, len(sizes) + 1), sizes, marker="o", color=colour, label=activation)
    axes.set(xlabel="layer, from the image (1) to the output (9)", ylabel="norm of the gradient")
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, "learning_vanishing")


def first_layer() -> None:
    """What 40 of the 128 units of the first layer look at: weights as images, blue for and red against."""
    weights = trained("optimizer.weight_decay=0.3").layers[0].weight.detach().reshape(-1, 28, 28)
    strongest = weights.flatten(1).norm(dim=1).argsort(descending=True)[:40]
    figure, axes = pyplot.subplots(4, 10, figsize=(8, 3.3), layout="constrained")
    for panel, unit in zip(axes.flat, strongest, strict=True):
        reach = float(weights[unit].abs().max())
        panel.imshow(weights[unit], cmap="RdBu", vmin=-reach, vmax=reach)
        panel.axis("off")
    save(figure, "learning_first_layer")


def mistakes() -> None:
    """The test images that the default network is most wrong about."""
    network = trained()
    images, labels = test_images()
    with torch.inference_mode():
        log_p = network.log_probabilities(images)
    wrong = (log_p.argmax(1) != labels).nonzero()[:, 0]
    worst = wrong[log_p[wrong, labels[wrong]].argsort()][:20]
    figure, axes = pyplot.subplots(2, 10, figsize=(9.5, 2.6), layout="constrained")
    for panel, index in zip(axes.flat, worst, strict=True):
        guess = int(log_p[index].argmax())
        panel.imshow(images[index], cmap="gray_r")
        panel.set_title(f"label {labels[index]}\n{guess}: {float(log_p[index, guess].exp()):.0%}", fontsize=8)
        panel.axis("off")
    save(figure, "learning_mistakes")


FIGURES: dict[str, Callable[[], None]] = {
    figure.__name__: figure
    for figure in (data, approximation, surface, backpropagation, vanishing, first_layer, mistakes)
}


def main() -> None:
    logging.disable(logging.INFO)
    unknown = set(sys.argv[1:]) - FIGURES.keys()
    if unknown:
        sys.exit(f"figures.py: expected some of {', '.join(FIGURES)}, got {', '.join(sorted(unknown))}")
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]()


if __name__ == "__main__":
    main()
