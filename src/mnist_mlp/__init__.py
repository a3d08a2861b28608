"""Multilayer perceptrons on handwritten digits, with Lightning and Hydra."""

import sys

from mnist_mlp.startup import HastenedImports

sys.meta_path.insert(0, HastenedImports())
