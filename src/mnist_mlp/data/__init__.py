"""Data sets: from the section `data` of the configuration to batches in memory.

    sources.load        the section `data` -> a Dataset: images (N, C, H, W) uint8, labels, class names, checksum
        mnist               MNIST and Fashion-MNIST: download.py fetches and verifies, idx.py reads
        synthetic           printed digits, rendered from a font: no download
        folder, npz         your own images; image_file.py opens an image file within limits on its size
    dataset             a data set in memory, and its description without the images
    split.split         labels -> indices of the training and of the validation images
    normalisation       mean and standard deviation of each channel, given or computed from the training images
    datamodule          the LightningDataModule; its batches come from loader.py
    image_datamodule   its base class, with the augmentation of augment.py
    loader_datamodule  the LightningDataModule for images that do not fit in memory: a DataLoader
    run_length          length of a run in optimizer steps
    seeding             random seeds as a function of (seed, purpose, number)

`sources.describe` returns sizes, shape and classes of a data set without loading it.
"""
