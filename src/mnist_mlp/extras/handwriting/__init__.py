"""Handwriting in photographs, scans and drawings: finds the digits, and brings each into the format of MNIST.

    picture.read_picture            a file -> grey levels (H, W) uint8, at most a million of them
    segmentation.find_digits        grey levels -> the digits in reading order, each (28, 28) uint8 with its box
        ink_map.ink_map                 grey levels -> ink in [0, 1]: polarity and shadows are gone
        text_regions.find_writing       ink -> connected components of writing, without frames and specks
        connected_components.gather     components -> which of them make up one digit, and the reading order
        touching_digits                 a wide component -> two digits that touch
        mnist_format.as_mnist           the ink of one digit -> (28, 28): 20 for the longer side, centred by mass
        mnist_format.widening           boxes of a number's digits -> how much to widen all of them, if narrow
    reader.Reader                   files and a trained network -> what is written in each

`find_digits` and all below it is plain array arithmetic, ported to JavaScript in extras/demo. The port must reproduce
`find_digits`: the same digits, boxes to the pixel, grey levels to within 1 of 255 (sums are taken in another order).
Like `picture.py`, the page first shrinks a picture to `WORKING_PIXELS`, by means over k x k pixels, k a whole number,
and fills what is transparent as `ink_map.flatten` does. It differs from Python for a picture file above 4 million
pixels, which the browser's canvas scales first.
"""
