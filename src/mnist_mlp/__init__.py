"""Multilayer perceptrons on handwritten digits, with Lightning and Hydra."""

import sys

from mnist_mlp.cli.startup import HastenedImports

sys.meta_path.insert(0, HastenedImports())
