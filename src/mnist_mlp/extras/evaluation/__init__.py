"""How good a trained network is: numbers, corruptions, tables and pictures."""
