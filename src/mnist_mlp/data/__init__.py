"""From a name in the configuration to batches in memory.

    sources.load        the section `data` -> a Dataset: images (N, C, H, W) uint8, labels, class names, checksum
        mnist               MNIST and Fashion-MNIST: download.py fetches and verifies, idx.py reads
        synthetic           printed digits, drawn anew: no download
        folder, npz         images of one's own; image_file.py opens one within limits
    split.split         labels -> which training images are kept apart for validation
    normalisation       what the network takes as zero and as one unit, given or computed from the training images
    datamodule          Lightning's data module: loader.py's batches by index; augment.py changes images at random
    seeding             every random number as a function of (seed, purpose, number)

Sizes, shape and classes are known by `sources.describe` before anything is read.
"""
