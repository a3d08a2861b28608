"""Colours that several kinds of pictures share.

RED marks a negative weight or a wrong prediction, BLUE a positive weight or a right one. The drawing page has orange in
the place of RED.
"""

BLUE, RED = (20, 89, 199), (200, 60, 24)  # dark enough to write on white
INK, FAINT = (30, 34, 40), (86, 96, 107)

BLUE_HEX, RED_HEX = ("#{:02x}{:02x}{:02x}".format(*colour) for colour in (BLUE, RED))
GREY_HEX = "#8a919c"
