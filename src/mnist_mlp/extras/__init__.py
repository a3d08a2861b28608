"""Extras, which training does not need: evaluation, handwriting, leaderboard, dashboards, search, export, page."""
