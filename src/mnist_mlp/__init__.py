"""Small networks (perceptrons, convolutional networks) for images of digits, with Lightning and Hydra.

The public names are in `__all__`. Each is imported at its first use, as importing torch takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_mlp.config.compose import composed as composed
    from mnist_mlp.config.schema import Config as Config
    from mnist_mlp.data.datamodule import DigitsDataModule as DigitsDataModule
    from mnist_mlp.module import DigitClassifier as DigitClassifier
    from mnist_mlp.training import train as train

_MODULE_OF = {
    "Config": "mnist_mlp.config.schema",
    "DigitClassifier": "mnist_mlp.module",
    "DigitsDataModule": "mnist_mlp.data.datamodule",
    "composed": "mnist_mlp.config.compose",
    "train": "mnist_mlp.training",
}
__all__ = ["Config", "DigitClassifier", "DigitsDataModule", "composed", "train"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)
