"""An epoch in JAX, compiled whole: `lax.scan` over the minibatches under `jit`, images in memory, AdamW by hand.

`python benchmarks/jax_epoch.py --networks 16` trains 16 networks under `vmap`, each with an order of its own. It is a
process of its own, as XLA keeps its threads: it prints the seconds until it can begin, and for each line with a number
of epochs on standard input the seconds of each. Validation is included; the images that fill no minibatch are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

LR, BETAS, EPS, DECAY, SMOOTHING = 3e-3, (0.9, 0.99), 1e-8, 0.01, 0.05
Tree = Any


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batch-size", type=int, default=64)
    arguments.add_argument("--networks", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--hidden", type=int, nargs="*", default=[128, 64])
    given = arguments.parse_args()
    if hasattr(os, "sched_setaffinity"):  # XLA takes a thread for each core that it may run on
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-given.threads :])
    began = time.perf_counter()
    train = trainer(given.batch_size, given.networks, given.hidden)
    train()
    print(time.perf_counter() - began, flush=True)
    for line in sys.stdin:
        print(*(train() for _ in range(int(line))), flush=True)


def trainer(batch_size: int, networks: int, hidden: list[int]) -> Any:
    """A function that trains one epoch more and gives its seconds."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from mnist_mlp.config.compose import composed
    from mnist_mlp.data.sources import load
    from mnist_mlp.data.split import split

    config = composed()
    dataset = load(config.data)
    chosen, val = split(dataset.train_labels, config.data.val_size)
    images = dataset.train_images.reshape(-1, 784).astype(np.float32) / 255
    images = (images - config.data.mean) / config.data.std
    labels = dataset.train_labels.astype(np.int32)
    x, y, val_x, val_y = (jnp.asarray(part) for part in (images[chosen], labels[chosen], images[val], labels[val]))
    steps = len(chosen) // batch_size

    def logits(network: Tree, x: Any) -> Any:
        for weight, bias in network[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        weight, bias = network[-1]
        return x @ weight + bias

    def loss_of(network: Tree, x: Any, y: Any) -> Any:
        log_probabilities = jax.nn.log_softmax(logits(network, x))
        on_label = jnp.take_along_axis(log_probabilities, y[:, None], axis=1)[:, 0]
        return -((1 - SMOOTHING) * on_label + SMOOTHING * log_probabilities.mean(1)).mean()

    def step(state: Tree, batch: Any) -> tuple[Tree, Any]:
        network, means, squares, count = state
        loss, gradients = jax.value_and_grad(loss_of)(network, x[batch], y[batch])
        count = count + 1
        first, second = (1 - beta**count for beta in BETAS)
        means = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, means, gradients)
        squares = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, squares, gradients)
        network = jax.tree.map(
            lambda w, m, v: w * (1 - LR * DECAY) - LR * (m / first) / (jnp.sqrt(v / second) + EPS),
            *(network, means, squares),
        )
        return (network, means, squares, count), loss

    def epoch(state: Tree, order: Any) -> tuple[Tree, Any, Any]:
        state, losses = jax.lax.scan(step, state, order)
        return state, losses.mean(), (logits(state[0], val_x).argmax(1) == val_y).mean()

    compiled = jax.jit(jax.vmap(epoch) if networks > 1 else epoch, donate_argnums=0)
    generator = np.random.default_rng(0)
    places = (networks,) if networks > 1 else ()

    def uniform(inputs: int, *shape: int) -> Any:
        return jnp.asarray(generator.uniform(-1, 1, (*places, *shape)).astype(np.float32) / np.sqrt(inputs))

    pairs = list(pairwise([784, *hidden, 10]))
    network = [(uniform(inputs, inputs, outputs), uniform(inputs, outputs)) for inputs, outputs in pairs]
    zeros = [jax.tree.map(jnp.zeros_like, network) for _ in range(2)]
    state = (network, *zeros, jnp.zeros(places))

    def train() -> float:
        nonlocal state
        began = time.perf_counter()
        orders = [generator.permutation(len(chosen))[: steps * batch_size] for _ in range(networks)]
        order = np.stack(orders).astype(np.int32).reshape(*places, steps, batch_size)
        state, loss, accuracy = compiled(state, order)
        jax.block_until_ready((state, loss, accuracy))
        assert float(accuracy.min()) > 0.8, "it does not learn"
        return time.perf_counter() - began

    return train


if __name__ == "__main__":
    main()
