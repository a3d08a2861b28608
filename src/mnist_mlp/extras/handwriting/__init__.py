"""A person's own picture, made into what MNIST's digits look like.

    picture_file.read_picture   a file -> grey levels (H, W) uint8, at most a million of them
    digits.find_digits          grey levels -> the digits in reading order, each (28, 28) uint8 with its box
        ink.ink_map                 grey levels -> ink in [0, 1]: polarity and shadows are gone
        writing.find_writing        ink -> connected pieces of writing, without frames and specks
        pieces.gather               pieces -> which of them make up one digit, and in which order digits are read
        form.as_mnist               the ink of one digit -> (28, 28): 20 for the longer side, mass in the middle

All from `find_digits` inwards is arithmetic on small arrays, so that it can be written again in another language. Such
a port must reproduce `find_digits`: the same digits, boxes to the pixel, grey levels to within 2 of 255 (sums are
taken in another order). Whoever reads the picture there shrinks it to `WORKING_PIXELS` by whole-pixel means and fills
what is transparent by `ink.flatten`. Test vectors are pairs of a grey picture and its digits.
"""
