"""Multilayer perceptrons on handwritten digits, with Lightning and Hydra."""
