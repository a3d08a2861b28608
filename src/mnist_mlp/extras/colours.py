"""Colours of all pictures. Blue: evidence for a class, or a right answer. Red: evidence against, or a wrong answer."""

BLUE, RED = (20, 89, 199), (200, 60, 24)  # dark enough to write on white; the page has this blue, and orange
"""of weights: ink there raises or lowers the unit's value; of answers: right, or wrong"""

BLUE_HEX, RED_HEX, GREY_HEX = "#1459c7", "#c83c18", "#8a919c"
