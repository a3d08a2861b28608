"""The two colours that mean something in every picture: blue is for and right, red is against and wrong."""

BLUE, RED = (20, 89, 199), (200, 60, 24)  # as on the drawing page, and dark enough to write on white
"""of weights: ink there raises or lowers the unit's value; of answers: right, or wrong"""

BLUE_HEX, RED_HEX, GREY_HEX = "#1459c7", "#c83c18", "#8a919c"
