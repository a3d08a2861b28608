"""Multilayer perceptrons on handwritten digits, with Lightning and Hydra."""

from mnist_mlp.startup import hasten_imports

hasten_imports()
