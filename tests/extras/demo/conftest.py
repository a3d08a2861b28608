from functools import lru_cache
from types import SimpleNamespace

from mnist_mlp.extras.demo import description

# Pages of different networks hold the same images to learn from, and to pack them is most of what a page costs.
description.zlib = SimpleNamespace(compress=lru_cache(maxsize=4)(description.zlib.compress))
